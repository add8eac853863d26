"""The platform's Python client, async and sync; names are loaded when they are first used.

with Client(token=read_token) as rag:
    for event in rag.stream_answer("휴가는 며칠인가요?", collections=["handbook"]):
        ...
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag_client.aio import AsyncClient as AsyncClient
    from rag_client.calls import Retries as Retries
    from rag_client.filters import AnyOf as AnyOf
    from rag_client.filters import Between as Between
    from rag_client.filters import Filter as Filter
    from rag_client.filters import Is as Is
    from rag_client.filters import Within as Within
    from rag_client.results import Answer as Answer
    from rag_client.results import Document as Document
    from rag_client.results import Found as Found
    from rag_client.results import Ingested as Ingested
    from rag_client.results import Passage as Passage
    from rag_client.sync import Client as Client
    from rag_common.errors import AppError as AppError

_HOMES = {
    "AnyOf": "rag_client.filters",
    "Answer": "rag_client.results",
    "AppError": "rag_common.errors",
    "AsyncClient": "rag_client.aio",
    "Between": "rag_client.filters",
    "Client": "rag_client.sync",
    "Document": "rag_client.results",
    "Filter": "rag_client.filters",
    "Found": "rag_client.results",
    "Ingested": "rag_client.results",
    "Is": "rag_client.filters",
    "Passage": "rag_client.results",
    "Retries": "rag_client.calls",
    "Within": "rag_client.filters",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    # `rag --help` must not wait for gRPC to load.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
