"""Vault client: a service's secrets, certificate and JWT signatures, renewed while it runs."""
