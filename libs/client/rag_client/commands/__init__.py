"""One module a command; each loads gRPC and rich only when it runs."""
