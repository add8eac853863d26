"""The public API over gRPC: the only package that knows its protobuf messages."""
