"""Stores of API keys and revocations: a SQLite file or Redis."""
