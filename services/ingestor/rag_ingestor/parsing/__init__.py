"""Parsers, one module per document format: bytes or text to text with its structure."""
