"""Generated gRPC code; `make proto` writes it."""
