"""An in-memory trace store for local use: receives OTLP, implements parts of Tempo's query API."""

from rag_local.trace_store.memory import Bounds
from rag_local.trace_store.server import TraceStore, trace_store

__all__ = ["Bounds", "TraceStore", "trace_store"]
