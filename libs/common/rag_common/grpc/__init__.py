"""gRPC servers and clients: lifecycle, interceptor, health, channels, calls to other services."""
