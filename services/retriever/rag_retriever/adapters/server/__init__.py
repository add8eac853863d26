"""The engine as a server of its own: Qdrant, one collection an index, for many replicas."""

from rag_retriever.adapters.server.catalog import ServerCatalog, connected
from rag_retriever.adapters.server.collection import ServerOptions

__all__ = ["ServerCatalog", "ServerOptions", "connected"]
