"""The platform in containers, on a Docker engine: `make test-compose`."""
