"""Conversions between the client's models and protobuf messages."""
