"""Token-bucket quotas by tenant and credential, in memory or in Redis."""
