"""The embedded engine: Qdrant Edge with one shard per index, used by this process exclusively."""

from rag_retriever.engines.edge.catalog import EdgeCatalog

__all__ = ["EdgeCatalog"]
