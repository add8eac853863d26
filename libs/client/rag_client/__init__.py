"""The platform's Python client, async and sync; names are loaded when they are first used.

with Client(token=read_token) as rag:
    for event in rag.stream_answer("휴가는 며칠인가요?", collections=["handbook"]):
        ...
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag_client.access.results import ApiKey as ApiKey
    from rag_client.access.results import CreatedApiKey as CreatedApiKey
    from rag_client.access.results import Identity as Identity
    from rag_client.access.results import IssuedToken as IssuedToken
    from rag_client.access.results import Quota as Quota
    from rag_client.access.results import Quotas as Quotas
    from rag_client.aio import AsyncClient as AsyncClient
    from rag_client.calls import Retries as Retries
    from rag_client.channel import ClientCertificate as ClientCertificate
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
    from rag_client.tokens import AsyncRenewedToken as AsyncRenewedToken
    from rag_client.tokens import RenewedToken as RenewedToken
    from rag_client.tokens import TokenFile as TokenFile
    from rag_common.errors import AppError as AppError

_HOMES = {
    "Answer": "rag_client.results",
    "AnyOf": "rag_client.filters",
    "ApiKey": "rag_client.access.results",
    "AppError": "rag_common.errors",
    "AsyncClient": "rag_client.aio",
    "AsyncRenewedToken": "rag_client.tokens",
    "Between": "rag_client.filters",
    "Client": "rag_client.sync",
    "ClientCertificate": "rag_client.channel",
    "CreatedApiKey": "rag_client.access.results",
    "Document": "rag_client.results",
    "Filter": "rag_client.filters",
    "Found": "rag_client.results",
    "Identity": "rag_client.access.results",
    "Ingested": "rag_client.results",
    "Is": "rag_client.filters",
    "IssuedToken": "rag_client.access.results",
    "Passage": "rag_client.results",
    "Quota": "rag_client.access.results",
    "Quotas": "rag_client.access.results",
    "RenewedToken": "rag_client.tokens",
    "Retries": "rag_client.calls",
    "TokenFile": "rag_client.tokens",
    "Within": "rag_client.filters",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    # `rag --help` must not wait for gRPC to load.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
