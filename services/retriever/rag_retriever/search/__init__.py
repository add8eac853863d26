"""Hybrid search: dense and sparse candidates, fusion and ranking."""
