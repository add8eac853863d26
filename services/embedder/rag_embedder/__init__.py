"""The embedder: texts to dense and sparse vectors, and to relevance scores."""
