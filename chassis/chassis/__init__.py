"""The library of all services: settings, database, events, Kafka, HTTP, gRPC, tokens and supervision."""

# The version of all packages, images and API documents: docs/releasing.md.
__version__ = "1.0.0"
