"""The retriever's metrics."""
