"""The embedder over gRPC: protobuf to domain types and back."""
