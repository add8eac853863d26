"""Vault: a service's secrets, its certificate and the signatures it asks for, kept fresh while it runs."""
