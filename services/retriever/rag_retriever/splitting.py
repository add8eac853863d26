"""Splitting: a document as it was sent to the chunks that will be searched."""

from dataclasses import dataclass, field

from rag_retriever.chunking import Chunk, ChunkSettings, chunk
from rag_retriever.parsing import Limits, parse


@dataclass(frozen=True, slots=True)
class Document:
    """A document as its sender gave it; the name and the type are claims, not facts."""

    content: bytes = field(repr=False)
    filename: str = ""
    declared_type: str = ""


@dataclass(frozen=True, slots=True)
class Split:
    """The document's text in NFC and its chunks, whose offsets count in that text."""

    title: str
    text: str
    media_type: str
    chunks: tuple[Chunk, ...]


def split(document: Document, limits: Limits, settings: ChunkSettings) -> Split:
    """Parses and cuts the document. Blocks, and may take memory: see the adapter for both."""
    parsed = parse(document.content, document.filename, document.declared_type, limits)
    return Split(parsed.title, parsed.text, parsed.media_type, tuple(chunk(parsed, settings)))
