"""The HTTP routes and gRPC methods of userfc."""
