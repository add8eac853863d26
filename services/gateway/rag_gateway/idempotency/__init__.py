"""Idempotency keys: a request is run once per `request_id`, retries get the stored response."""
