"""The connection to Redis, in which the replicas share quotas, idempotency keys and credentials."""
