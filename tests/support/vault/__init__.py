"""Secrets from Vault, tested against a real one."""
