"""Embedding: texts to dense and sparse vectors."""
