"""Authentication and authorization: JWTs, API keys, the access policy and the audit log."""
