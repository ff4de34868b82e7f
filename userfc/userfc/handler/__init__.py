"""The wire: HTTP and gRPC in, usecases called, answers out."""
