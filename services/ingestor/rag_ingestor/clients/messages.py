"""Chunks as protobuf messages."""

from dataclasses import asdict

from rag.retriever.v1.retriever_service_pb2 import TextChunk
from rag.types.v1.passage_pb2 import Location, TextSpan
from rag_ingestor.chunking.model import Chunk


def text_chunk(chunk: Chunk) -> TextChunk:
    """The message of a chunk."""
    span = TextSpan(
        start=chunk.start, end=chunk.end, start_byte=chunk.start_byte, end_byte=chunk.end_byte
    )
    message = TextChunk(
        ordinal=chunk.ordinal,
        text=chunk.text,
        headings=chunk.headings,
        span=span,
        page=chunk.page,
    )
    if chunk.location:
        message.location.CopyFrom(Location(**asdict(chunk.location)))
    return message
