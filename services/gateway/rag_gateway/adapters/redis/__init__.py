"""Redis, in which the gateway's replicas keep what they share."""
