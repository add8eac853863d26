"""gRPC in one place: server, client, interceptors, health and the error contract."""
