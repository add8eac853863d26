"""The platform's Python client, async and sync; each name is imported at its first use.

with Client() as rag:  # address and token: arguments, or RAG_TARGET, RAG_TOKEN and so on
    for event in rag.stream_answer("휴가는 며칠인가요?", collections=["handbook"]):
        ...
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag_client.client.aio import AsyncClient as AsyncClient
    from rag_client.client.sync import Client as Client
    from rag_client.models.access import ApiKey as ApiKey
    from rag_client.models.access import CreatedApiKey as CreatedApiKey
    from rag_client.models.access import Identity as Identity
    from rag_client.models.access import IssuedToken as IssuedToken
    from rag_client.models.access import Quota as Quota
    from rag_client.models.access import Quotas as Quotas
    from rag_client.models.filters import AnyOf as AnyOf
    from rag_client.models.filters import Between as Between
    from rag_client.models.filters import Filter as Filter
    from rag_client.models.filters import Is as Is
    from rag_client.models.filters import Within as Within
    from rag_client.models.results import Answer as Answer
    from rag_client.models.results import Document as Document
    from rag_client.models.results import Found as Found
    from rag_client.models.results import Ingested as Ingested
    from rag_client.models.results import Passage as Passage
    from rag_client.tokens import AsyncRenewedToken as AsyncRenewedToken
    from rag_client.tokens import RenewedToken as RenewedToken
    from rag_client.tokens import TokenFile as TokenFile
    from rag_client.transport.calls import Retries as Retries
    from rag_client.transport.channel import ClientCertificate as ClientCertificate
    from rag_contract.errors import AppError as AppError

_MODULES = {
    "rag_client.client.aio": ("AsyncClient",),
    "rag_client.client.sync": ("Client",),
    "rag_client.models.access": (
        *("ApiKey", "CreatedApiKey", "Identity", "IssuedToken", "Quota", "Quotas"),
    ),
    "rag_client.models.filters": ("AnyOf", "Between", "Filter", "Is", "Within"),
    "rag_client.models.results": ("Answer", "Document", "Found", "Ingested", "Passage"),
    "rag_client.tokens": ("AsyncRenewedToken", "RenewedToken", "TokenFile"),
    "rag_client.transport.calls": ("Retries",),
    "rag_client.transport.channel": ("ClientCertificate",),
    "rag_contract.errors": ("AppError",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    # Importing gRPC takes long, and `rag --help` does without it.
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)
