"""The library of all services: settings, database, events, Kafka, HTTP, gRPC, tokens and supervision."""
