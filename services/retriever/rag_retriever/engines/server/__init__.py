"""The server engine: a Qdrant server with one collection per index, for any number of replicas."""

from rag_retriever.engines.server.catalog import ServerCatalog, connected
from rag_retriever.engines.server.collection import ServerOptions
from rag_retriever.engines.server.nodes import Nodes
from rag_retriever.engines.server.tls import TlsFiles

__all__ = ["Nodes", "ServerCatalog", "ServerOptions", "TlsFiles", "connected"]
