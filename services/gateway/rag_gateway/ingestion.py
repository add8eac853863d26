"""Taking in a document: read and cut it, embed the pieces, store them, all as one stream."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from rag.types.v1.document_pb2 import Document
from rag_common import errors
from rag_gateway.journey import Journey

# Raise it when reading or cutting changes what comes out, so that documents are taken in anew.
_PREPARATION = "1"


@dataclass(frozen=True, slots=True)
class Spec:
    """What the caller says of a document; empty where it says nothing."""

    collection: str
    document_id: str
    title: str
    uri: str
    filename: str
    media_type: str
    metadata: Mapping[str, Any]


class Outcome(Enum):
    """What became of a document."""

    CREATED = "created"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Outline:
    """What a file turned out to be."""

    title: str
    media_type: str
    characters: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Ingested:
    """The document as it is now."""

    document: Document
    outcome: Outcome
    journey: Journey


class Split(Protocol):
    """A file's outline, and its chunks in batches as they are read."""

    outline: Outline

    def batches(self) -> AsyncIterator[Sequence[Any]]: ...


class Splitting(Protocol):
    """Reads files. Raises InvalidArgument where one cannot be read."""

    async def split(self, content: bytes, filename: str, media_type: str) -> Split: ...


class ChunkEmbedding(Protocol):
    """Makes vectors of batches of chunks, in order."""

    def chunks(
        self, title: str, batches: AsyncIterator[Sequence[Any]]
    ) -> AsyncIterator[Sequence[Any]]: ...

    async def fingerprint(self) -> str: ...


class Storing(Protocol):
    """Keeps documents of one tenant."""

    async def get(self, tenant: str, collection: str, document_id: str) -> Document | None: ...

    async def put(
        self,
        tenant: str,
        document: Document,
        fingerprint: str,
        batches: AsyncIterator[Sequence[Any]],
    ) -> Document: ...


class Ingesting:
    """Takes in documents, a bounded number at a time; the others wait while their deadline lasts."""

    def __init__(
        self, splitting: Splitting, embedding: ChunkEmbedding, storing: Storing, *, slots: int
    ) -> None:
        self._splitting = splitting
        self._embedding = embedding
        self._storing = storing
        self._slots = asyncio.Semaphore(slots)

    async def ingest(self, tenant: str, spec: Spec, content: bytes) -> Ingested:
        """Store the document. The same content and facts again change nothing and cost no embedding."""
        journey = Journey()
        version = _version(spec, content)
        document_id = spec.document_id or f"sha256:{hashlib.sha256(content).hexdigest()[:32]}"
        present = await self._storing.get(tenant, spec.collection, document_id)
        if present and present.version == version:
            journey.finish()
            return Ingested(present, Outcome.UNCHANGED, journey)
        async with self._slots:
            stored = await self._take_in(tenant, spec, document_id, version, content, journey)
        journey.finish()
        return Ingested(stored, Outcome.REPLACED if present else Outcome.CREATED, journey)

    async def _take_in(
        self,
        tenant: str,
        spec: Spec,
        document_id: str,
        version: str,
        content: bytes,
        journey: Journey,
    ) -> Document:
        with journey.stage("split"):
            split = await self._splitting.split(content, spec.filename, spec.media_type)
        document = _document(spec, document_id, version, split.outline)
        with journey.stage("store"):
            fingerprint = await self._embedding.fingerprint()
            vectors = self._embedding.chunks(document.title, split.batches())
            return await self._storing.put(tenant, document, fingerprint, vectors)


def _document(spec: Spec, document_id: str, version: str, outline: Outline) -> Document:
    if not outline.chunks:
        raise errors.InvalidArgument.of("content", "has no text")
    document = Document(
        document_id=document_id,
        collection=spec.collection,
        title=spec.title or outline.title,
        uri=spec.uri,
        media_type=outline.media_type,
        version=version,
        passage_count=outline.chunks,
        character_count=outline.characters,
    )
    document.metadata.update(dict(spec.metadata))
    return document


def _version(spec: Spec, content: bytes) -> str:
    facts = [spec.title, spec.uri, spec.filename, spec.media_type, spec.metadata, _PREPARATION]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode())
    digest.update(content)
    return digest.hexdigest()[:32]
