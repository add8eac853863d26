"""The generator over gRPC: protobuf to domain types and back."""
