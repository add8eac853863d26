"""The ingestion pipeline: parse and split a document, embed the chunks, store them, as one stream."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, TypeAlias

from rag.types.v1.document_pb2 import Document
from rag_common.timings import StageTimings
from rag_contract import errors
from rag_ingestor.chunking.chunks import SourceFile, Split
from rag_ingestor.chunking.model import Chunk
from rag_ingestor.pipeline.pace import EmbeddingPace
from rag_ingestor.pipeline.warnings import is_recognisable, is_recognised, reading_warnings

# Part of every document's version. Increment it when a change of parsing or splitting changes the chunks,
# so that unchanged documents are ingested again.
_PIPELINE_VERSION = "4"

# What the embedder's client hands to the store's, unread.
EmbeddedChunks: TypeAlias = Sequence[Any]


@dataclass(frozen=True, slots=True)
class DocumentSpec:
    """The caller's description of a document; an empty field but the collection was not set."""

    collection: str
    document_id: str
    title: str
    uri: str
    filename: str
    media_type: str
    metadata: Mapping[str, Any]


class Outcome(Enum):
    """What ingesting did to a document."""

    CREATED = "created"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """The stored document, and whether it was created, replaced or left unchanged."""

    document: Document
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class IngestResult:
    """The document as it is stored now, the outcome and the timings."""

    document: Document
    outcome: Outcome
    timings: StageTimings


class FileSplitter(Protocol):
    """Parses and splits files."""

    async def split(self, file: SourceFile) -> Split:
        """The file's text and chunks. Raises InvalidArgument, Overloaded, Unavailable."""
        ...


class ChunkEmbedder(Protocol):
    """Embeds batches of chunks, in order."""

    def chunks(self, title: str, chunks: Sequence[Chunk]) -> AsyncIterator[EmbeddedChunks]: ...

    async def fingerprint(self) -> str: ...


class DocumentStore(Protocol):
    """Stores documents, for one tenant at a time."""

    async def get(self, tenant: str, collection: str, document_id: str) -> Document | None: ...

    async def is_complete(self, tenant: str, document: Document) -> bool:
        """Whether the index holds all passages of the document."""
        ...

    async def put(
        self,
        tenant: str,
        document: Document,
        fingerprint: str,
        batches: AsyncIterator[EmbeddedChunks],
    ) -> StoredDocument:
        """Store the chunks. Raises DocumentConflict if another call changed the document meanwhile."""
        ...


class Content(Protocol):
    """A file in memory, until it is released."""

    content: bytes

    def release(self) -> None:
        """Drop the content, as it is not needed any more."""
        ...


class IngestionService:
    """Ingests at most `slots` documents at a time; others wait until their deadline.

    `recognises`: whether the splitter recognises the text of scanned pages (OCR).
    """

    def __init__(
        self,
        splitter: FileSplitter,
        embedder: ChunkEmbedder,
        store: DocumentStore,
        *,
        slots: int,
        recognises: bool = False,
    ) -> None:
        self._splitter = splitter
        self._embedder = embedder
        self._store = store
        self._slots = asyncio.Semaphore(slots)
        self._recognises = recognises
        self._pace = EmbeddingPace()

    async def ingest(self, tenant: str, spec: DocumentSpec, file: Content) -> IngestResult:
        """Parse, embed and store the document. The file is released as soon as it is split.

        If it is stored already with the same content and description, nothing is embedded or changed,
        unless passages of it were lost, or it has pages that can be recognised now: then it is stored
        again. Of several concurrent calls with the same content, one creates or replaces the document.
        Raises InputTooLong for a document that cannot be stored before the call's deadline.
        """
        timings = StageTimings()
        # Text that was recognised is another version of the document: its passages are others.
        plain = _version(spec, file.content)
        versions = (plain, _recognised(plain))
        document_id = spec.document_id or _content_id(file.content)
        present = await self._store.get(tenant, spec.collection, document_id)
        same = present if present and present.version in versions else None
        if same and self._recognises and is_recognisable(same.warnings):
            same = None
        if same and await self._store.is_complete(tenant, same):
            timings.finish()
            return IngestResult(same, Outcome.UNCHANGED, timings)
        async with self._slots:
            with timings.stage("split"):
                split = await self._split(spec, file)
            version = versions[is_recognised(split.unread)]
            document = _document(spec, document_id, version, split)
            # Known at once, rather than after minutes of work that would be lost.
            self._pace.require_time(len(split.chunks))
            with timings.stage("store"):
                fingerprint = await self._embedder.fingerprint()
                vectors = self._embedder.chunks(document.title, split.chunks)
                stored = await self._store.put(tenant, document, fingerprint, vectors)
            self._pace.measured(len(split.chunks), timings.seconds["store"])
        timings.finish()
        return IngestResult(stored.document, stored.outcome, timings)

    async def _split(self, spec: DocumentSpec, file: Content) -> Split:
        source = SourceFile(file.content, spec.filename, spec.media_type)
        split = await self._splitter.split(source)
        file.release()
        return split


def _content_id(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()[:32]}"


def _document(spec: DocumentSpec, document_id: str, version: str, split: Split) -> Document:
    if not split.chunks:
        raise errors.FieldInvalid.of("content", "has no text")
    document = Document(
        document_id=document_id,
        collection=spec.collection,
        title=spec.title or split.title,
        uri=spec.uri,
        media_type=split.media_type,
        version=version,
        passage_count=len(split.chunks),
        character_count=len(split.text),
        warnings=reading_warnings(split.unread),
    )
    document.metadata.update(dict(spec.metadata))
    return document


def _recognised(version: str) -> str:
    """The version of the same document with recognised text."""
    return hashlib.sha256(f"{version} recognised".encode()).hexdigest()[:32]


def _version(spec: DocumentSpec, content: bytes) -> str:
    fields = [
        spec.title,
        spec.uri,
        spec.filename,
        spec.media_type,
        spec.metadata,
        _PIPELINE_VERSION,
    ]
    digest = hashlib.sha256(json.dumps(fields, sort_keys=True, ensure_ascii=False).encode())
    digest.update(content)
    return digest.hexdigest()[:32]
