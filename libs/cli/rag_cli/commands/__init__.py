"""The commands; gRPC and rich are imported only when a command runs."""
