"""The checks of `rag doctor`, each with advice for its failure."""
