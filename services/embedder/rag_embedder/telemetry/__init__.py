"""The embedder's metrics and spans."""
