"""What the service and its worker process say to each other: frames of a JSON header and bytes."""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rag_common.errors import InvalidArgument
from rag_retriever.chunking import Chunk, ChunkSettings
from rag_retriever.formats.parsed import refused
from rag_retriever.parsing import Limits
from rag_retriever.splitting import Document, Split

# Bytes of the header, bytes of the body, and in an answer the seconds that it took.
SIZES = struct.Struct("!IId")

Header = Mapping[str, Any]


def frame(header: Header, body: bytes = b"") -> bytes:
    """A frame: its sizes, the header, the body."""
    head = json.dumps(header, ensure_ascii=False).encode()
    return b"".join((SIZES.pack(len(head), len(body), 0.0), head, body))


def timed(framed: bytes, seconds: float) -> bytes:
    """The frame, saying that it took so many seconds."""
    head, body, _ = SIZES.unpack_from(framed)
    return SIZES.pack(head, body, seconds) + framed[SIZES.size :]


def request(document: Document, limits: Limits, settings: ChunkSettings) -> bytes:
    header = {
        "filename": document.filename,
        "declared_type": document.declared_type,
        "limits": asdict(limits),
        "settings": asdict(settings),
    }
    return frame(header, document.content)


def read_request(head: bytes, body: bytes) -> tuple[Document, Limits, ChunkSettings]:
    header = json.loads(head)
    document = Document(body, header["filename"], header["declared_type"])
    return document, Limits(**header["limits"]), ChunkSettings(**header["settings"])


def reply(split: Split) -> bytes:
    """Chunks travel as offsets; their texts are cut from the text again on the other side."""
    header = {
        "title": split.title,
        "media_type": split.media_type,
        "chunks": [
            (c.start, c.end, c.start_byte, c.end_byte, c.headings, c.page) for c in split.chunks
        ],
    }
    return frame(header, split.text.encode())


def refusal(error: InvalidArgument) -> bytes:
    return frame({"refused": error.violations[0].description})


def read_reply(head: bytes, body: bytes) -> Split:
    """The split, or the InvalidArgument that the worker raised."""
    header = json.loads(head)
    if "refused" in header:
        raise refused(header["refused"])
    text = body.decode()
    chunks = tuple(_chunk(text, at, row) for at, row in enumerate(header["chunks"]))
    return Split(header["title"], text, header["media_type"], chunks)


def _chunk(text: str, ordinal: int, row: Sequence[Any]) -> Chunk:
    start, end, start_byte, end_byte, headings, page = row
    return Chunk(ordinal, text[start:end], start, end, start_byte, end_byte, tuple(headings), page)
