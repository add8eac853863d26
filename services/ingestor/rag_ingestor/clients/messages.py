"""Chunks as protobuf messages."""

from rag.retriever.v1.retriever_service_pb2 import TextChunk
from rag.types.v1.passage_pb2 import TextSpan
from rag_ingestor.chunking.model import Chunk


def text_chunk(chunk: Chunk) -> TextChunk:
    """The message of a chunk."""
    span = TextSpan(
        start=chunk.start, end=chunk.end, start_byte=chunk.start_byte, end_byte=chunk.end_byte
    )
    return TextChunk(
        ordinal=chunk.ordinal,
        text=chunk.text,
        headings=chunk.headings,
        span=span,
        page=chunk.page,
    )
