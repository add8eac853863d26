"""Chunking: splits parsed text into chunks of a suitable size for an embedding model."""
