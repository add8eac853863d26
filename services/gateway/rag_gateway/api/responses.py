"""Results of the domain services as the public API's response messages."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache

from rag.gateway.v1 import answer_service_pb2 as pb
from rag.gateway.v1 import options_pb2 as options
from rag_common.context import Call
from rag_contract.durations import set_seconds
from rag_gateway.answering.model import Provenance
from rag_gateway.answering.service import AnswerResult, SearchResult

_CACHED_VERSIONS = 64


def timings(seconds: Mapping[str, float]) -> list[options.StageTiming]:
    """The stages in the order in which they ended."""
    stages = [options.StageTiming(stage=name) for name in seconds]
    for timing, value in zip(stages, seconds.values(), strict=True):
        set_seconds(timing.duration, value)
    return stages


def provenance(value: Provenance, region: str) -> options.Provenance:
    """The model, index and region that a result came from, and the degraded parts."""
    return options.Provenance(
        embedding_fingerprint=value.fingerprint,
        index_version=_opaque(value.index_version),
        region=region,
        degraded=value.degraded,
    )


def search(result: SearchResult, call: Call, region: str, explain: bool) -> pb.SearchResponse:
    """The response to a search."""
    response = pb.SearchResponse(
        query_terms=result.provenance.query_terms if explain else (),
        timings=timings(result.timings.seconds),
        provenance=provenance(result.provenance, region),
        request_id=call.request_id,
        trace_id=call.trace_id,
    )
    response.passages.extend(result.passages)
    return response


def answer(result: AnswerResult, call: Call, region: str) -> pb.AnswerResponse:
    """The response to a question."""
    generated, retrieved = result.answer, result.search
    source = provenance(retrieved.provenance, region)
    source.generation_model = generated.model
    source.prompt_version = generated.prompt_version
    return pb.AnswerResponse(
        text=generated.text,
        citations=generated.citations,
        references=retrieved.passages,
        grounding=generated.grounding,
        skipped_reason=generated.skipped_reason,
        confidence=generated.confidence,
        usage=generated.usage,
        timings=timings(retrieved.timings.seconds),
        provenance=source,
        request_id=call.request_id,
        trace_id=call.trace_id,
        incomplete_reason=generated.cut_short,
    )


@lru_cache(_CACHED_VERSIONS)
def _opaque(version: str) -> str:
    """A digest of the index version: it shows that the index changed, not how many writes tenants made."""
    return hashlib.sha256(version.encode()).hexdigest()[:16] if version else ""
