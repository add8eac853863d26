"""Ingesting a document: parse, embed, store."""
