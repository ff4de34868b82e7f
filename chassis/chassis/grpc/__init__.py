"""gRPC between the services: the server, and userfc's client."""
