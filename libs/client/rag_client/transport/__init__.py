"""Calls over a gRPC channel: deadlines, retries, credentials."""
