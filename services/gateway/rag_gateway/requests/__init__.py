"""What may come in: the limits of every field of the public API, and requests as the core takes them."""

from rag_gateway.requests.checks import Checks
from rag_gateway.requests.limits import (
    CHECKED_CHARACTERS,
    LIMITS,
    MOST_CANDIDATES,
    MOST_PAGE,
    MOST_PASSAGES,
    MOST_TOP_K,
    PASSAGE_CHARACTERS,
    QUERY_CHARACTERS,
)
from rag_gateway.requests.read import (
    DEFAULT_COLLECTION,
    collection,
    document_id,
    generation,
    page,
    passages,
    query,
    retrieval,
    spec,
    support,
)

__all__ = [
    "CHECKED_CHARACTERS",
    "DEFAULT_COLLECTION",
    "LIMITS",
    "MOST_CANDIDATES",
    "MOST_PAGE",
    "MOST_PASSAGES",
    "MOST_TOP_K",
    "PASSAGE_CHARACTERS",
    "QUERY_CHARACTERS",
    "Checks",
    "collection",
    "document_id",
    "generation",
    "page",
    "passages",
    "query",
    "retrieval",
    "spec",
    "support",
]
