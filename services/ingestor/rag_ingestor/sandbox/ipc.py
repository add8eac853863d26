"""The protocol between the service and its worker processes: frames of a JSON header and a body."""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple
from typing import Any

from rag_contract.errors import InvalidArgument
from rag_ingestor.chunking.chunks import ChunkSettings, SourceFile, Split
from rag_ingestor.chunking.model import Chunk, Location
from rag_ingestor.parsing.parse import Limits
from rag_ingestor.parsing.parsed import Unread, content_error

# Header bytes, body bytes and, in a response, the seconds that it took.
SIZES = struct.Struct("!IId")

Header = Mapping[str, Any]


def encode_frame(header: Header, body: bytes = b"") -> bytes:
    """A frame: sizes, header, body."""
    head = json.dumps(header, ensure_ascii=False).encode()
    return b"".join((SIZES.pack(len(head), len(body), 0.0), head, body))


def with_seconds(frame: bytes, seconds: float) -> bytes:
    """The frame with this duration in its sizes."""
    head, body, _ = SIZES.unpack_from(frame)
    return SIZES.pack(head, body, seconds) + frame[SIZES.size :]


def encode_request(file: SourceFile, limits: Limits, settings: ChunkSettings) -> bytes:
    header = {
        "filename": file.filename,
        "declared_type": file.declared_type,
        "limits": asdict(limits),
        "settings": asdict(settings),
        "recognised": file.recognised,
    }
    return encode_frame(header, file.content)


def encode_render_request(file: SourceFile, page: int) -> bytes:
    """A request for a page, from 1, as an image; the body of its response is that."""
    return encode_frame({"render": page}, file.content)


def page_to_render(head: bytes) -> int:
    """The page that a request asks for as an image; 0 if it is to be split."""
    return int(json.loads(head).get("render", 0))


def decode_request(head: bytes, body: bytes) -> tuple[SourceFile, Limits, ChunkSettings]:
    header = json.loads(head)
    recognised = header["recognised"]
    if recognised is not None:
        recognised = {int(page): text for page, text in recognised.items()}
    file = SourceFile(body, header["filename"], header["declared_type"], recognised)
    return file, Limits(**header["limits"]), ChunkSettings(**header["settings"])


def encode_response(split: Split) -> bytes:
    """Chunks are sent as offsets; the receiver cuts their texts from the document's text."""
    header = {
        "title": split.title,
        "media_type": split.media_type,
        "chunks": [
            (
                *(c.start, c.end, c.start_byte, c.end_byte, c.headings, c.page),
                astuple(c.location) if c.location else None,
            )
            for c in split.chunks
        ],
        "unread": [astuple(one) for one in split.unread],
    }
    return encode_frame(header, split.text.encode())


def encode_refusal(error: InvalidArgument) -> bytes:
    return encode_frame({"refused": error.violations[0].description})


def decode_image(head: bytes, body: bytes) -> bytes:
    """The image of a page. Raises the InvalidArgument that the worker reported."""
    _raise_refusal(json.loads(head))
    return body


def _raise_refusal(header: Header) -> None:
    if "refused" in header:
        raise content_error(header["refused"])


def decode_response(head: bytes, body: bytes) -> Split:
    """The split. Raises the InvalidArgument that the worker reported."""
    header = json.loads(head)
    _raise_refusal(header)
    text = body.decode()
    chunks = tuple(_chunk(text, at, row) for at, row in enumerate(header["chunks"]))
    unread = tuple(
        Unread(reason, tuple(pages), detail) for reason, pages, detail in header["unread"]
    )
    return Split(header["title"], text, header["media_type"], chunks, unread)


def _chunk(text: str, ordinal: int, row: Sequence[Any]) -> Chunk:
    start, end, start_byte, end_byte, headings, page, location = row
    return Chunk(
        *(ordinal, text[start:end], start, end, start_byte, end_byte, tuple(headings), page),
        Location(*location) if location else None,
    )
