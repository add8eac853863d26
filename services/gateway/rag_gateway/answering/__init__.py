"""Answering: embed the question, search, rerank, generate."""
