"""The gRPC API of the ingestor."""
