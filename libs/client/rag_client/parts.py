"""The parts that several replies have in common."""

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from rag.gateway.v1 import options_pb2 as wire
from rag.types.v1 import grounding_pb2, passage_pb2
from rag_client import results


def passage(message: passage_pb2.Passage) -> results.Passage:
    """A piece of a document."""
    return results.Passage(
        passage_id=message.passage_id,
        text=message.text,
        document_id=message.document_id,
        collection=message.collection,
        title=message.title,
        headings=tuple(message.headings),
        span=_span(message.span) if message.HasField("span") else None,
        page=message.page if message.HasField("page") else None,
        ordinal=message.ordinal,
        uri=message.uri,
        version=message.version,
        metadata=metadata(message.metadata),
    )


def scored_all(
    messages: Iterable[passage_pb2.ScoredPassage],
) -> tuple[results.ScoredPassage, ...]:
    """Passages with their evidence, in the order given."""
    return tuple(_scored(message) for message in messages)


def _scored(message: passage_pb2.ScoredPassage) -> results.ScoredPassage:
    evidence = message.evidence
    return results.ScoredPassage(
        passage=passage(message.passage),
        score=evidence.score,
        matched_terms=tuple(evidence.matched_terms),
        **{name: getattr(evidence, name) for name in _OPTIONAL if evidence.HasField(name)},
    )


_OPTIONAL = ("dense_rank", "dense_score", "sparse_rank", "sparse_score", "rerank_score")


def citation(message: grounding_pb2.Citation) -> results.Citation:
    """What a sentence rests on."""
    return results.Citation(
        number=message.number,
        passage_id=message.passage_id,
        document_id=message.document_id,
        answer_start=message.answer_start,
        answer_end=message.answer_end,
        quote=message.quote,
        quote_start=message.quote_start,
        quote_end=message.quote_end,
    )


def grounding(message: grounding_pb2.Grounding) -> results.Grounding:
    """How far a text is supported."""
    claims = tuple(
        results.Claim(
            claim.start, claim.end, claim.supported, claim.score, tuple(claim.passage_ids)
        )
        for claim in message.claims
    )
    return results.Grounding(message.score, claims)


def provenance(message: wire.Provenance) -> results.Provenance:
    """What a reply was made with."""
    return results.Provenance(
        generation_model=message.generation_model,
        prompt_version=message.prompt_version,
        embedding_fingerprint=message.embedding_fingerprint,
        index_version=message.index_version,
        region=message.region,
        degraded=tuple(message.degraded),
    )


def _span(message: passage_pb2.TextSpan) -> results.Span:
    return results.Span(message.start, message.end, message.start_byte, message.end_byte)


def timings(stages: Iterable[wire.StageTiming]) -> Mapping[str, float]:
    """Seconds by stage."""
    return {timing.stage: seconds(timing.duration) for timing in stages}


def seconds(duration: Any) -> float:
    """A google.protobuf.Duration in seconds."""
    return float(duration.ToTimedelta().total_seconds())


def metadata(message: Struct) -> Mapping[str, Any]:
    """Metadata as plain Python values; numbers are floats, as the wire has them."""
    return MessageToDict(message)
