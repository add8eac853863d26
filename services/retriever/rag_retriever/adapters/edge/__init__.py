"""The embedded engine: Qdrant Edge, one shard an index, in this process alone."""

from rag_retriever.adapters.edge.catalog import EdgeCatalog

__all__ = ["EdgeCatalog"]
