"""What goes out: the core's results as the public API's messages."""

import hashlib
from collections.abc import Mapping

from rag.gateway.v1 import answer_service_pb2 as pb
from rag.gateway.v1.options_pb2 import Provenance, StageTiming
from rag_common.context import Call
from rag_gateway.core import Answered, Found
from rag_gateway.journey import Journey


def timings(seconds: Mapping[str, float]) -> list[StageTiming]:
    """Stages in the order they ended."""
    found = [StageTiming(stage=name) for name in seconds]
    for timing, value in zip(found, seconds.values(), strict=True):
        timing.duration.FromNanoseconds(int(value * 1e9))
    return found


def provenance(journey: Journey, region: str) -> Provenance:
    """What a search was made with."""
    return Provenance(
        embedding_fingerprint=journey.fingerprint,
        index_version=_opaque(journey.index_version),
        region=region,
        degraded=journey.degraded,
    )


def search(found: Found, call: Call, region: str, explain: bool) -> pb.SearchResponse:
    """The reply to a search."""
    return pb.SearchResponse(
        passages=found.passages,
        query_terms=found.journey.query_terms if explain else (),
        timings=timings(found.journey.seconds),
        provenance=provenance(found.journey, region),
        request_id=call.request_id,
        trace_id=call.trace.trace_id,
    )


def answer(answered: Answered, call: Call, region: str) -> pb.AnswerResponse:
    """The reply to a question."""
    written, journey = answered.written, answered.found.journey
    made_with = provenance(journey, region)
    made_with.generation_model = written.model
    made_with.prompt_version = written.prompt_version
    return pb.AnswerResponse(
        text=written.text,
        citations=written.citations,
        references=answered.found.passages,
        grounding=written.grounding,
        skipped_reason=written.skipped_reason,
        confidence=written.confidence,
        usage=written.usage,
        timings=timings(journey.seconds),
        provenance=made_with,
        request_id=call.request_id,
        trace_id=call.trace.trace_id,
        incomplete_reason=written.cut_short,
    )


def _opaque(version: str) -> str:
    """The index counts all tenants' writes: what goes out tells that there were some, not how many."""
    return hashlib.sha256(version.encode()).hexdigest()[:16] if version else ""
