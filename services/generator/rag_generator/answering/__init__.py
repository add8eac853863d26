"""Answering: extractive or by a language model, with citations."""
