"""A store of traces for one machine: takes OTLP, answers as Tempo does, keeps what fits in memory."""

from rag_local.traces.bounds import Bounds
from rag_local.traces.running import TraceStore, trace_store

__all__ = ["Bounds", "TraceStore", "trace_store"]
