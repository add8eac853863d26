"""Results and events from replies, for the sync and the async client."""

from typing import cast

from rag.gateway.v1 import answer_service_pb2 as answers
from rag.gateway.v1 import document_service_pb2 as documents
from rag.types.v1 import document_pb2, grounding_pb2
from rag_client.convert import common
from rag_client.models import events, results
from rag_client.models.events import Event


def search_results(reply: answers.SearchResponse) -> results.Found:
    """The passages of a search."""
    return common.copied(
        results.Found,
        reply,
        passages=common.scored_passages(reply.passages),
        timings=common.timings(reply.timings),
        provenance=common.provenance(reply.provenance),
    )


def answer(reply: answers.AnswerResponse) -> results.Answer:
    """A complete answer."""
    return common.copied(
        results.Answer,
        reply,
        citations=tuple(map(common.citation, reply.citations)),
        references=common.scored_passages(reply.references),
        grounding=common.grounding(reply.grounding) if reply.HasField("grounding") else None,
        skipped=_skipped(reply.skipped_reason),
        input_tokens=reply.usage.input_tokens,
        output_tokens=reply.usage.output_tokens,
        timings=common.timings(reply.timings),
        provenance=common.provenance(reply.provenance),
    )


# Events whose fields have the same names in the contract.
_PLAIN_EVENTS: dict[str, type[Event]] = {
    "started": events.Started,
    "delta": events.Delta,
    "heartbeat": events.Heartbeat,
    "warning": events.Warned,
    "incomplete": events.Incomplete,
}


def event(reply: answers.StreamAnswerResponse) -> Event | None:
    """One event; None for a kind that this version does not know, which callers ignore."""
    name = reply.WhichOneof("event")
    match name:
        case "retrieved":
            return events.Retrieved(common.scored_passages(reply.retrieved.references))
        case "citation":
            return events.Cited(common.citation(reply.citation))
        case "grounding":
            return events.Grounded(common.grounding(reply.grounding))
        case "completed":
            return events.Completed(answer(reply.completed))
    model = _PLAIN_EVENTS.get(name or "")
    return common.copied(model, getattr(reply, name)) if model and name else None


def grounding_check(reply: answers.CheckGroundingResponse) -> results.GroundingCheck:
    """How well passages support a text."""
    return results.GroundingCheck(common.grounding(reply.grounding), reply.trace_id)


def capabilities(reply: answers.GetCapabilitiesResponse) -> results.Capabilities:
    """The deployment's models, media types and limits."""
    return common.copied(
        results.Capabilities,
        reply,
        embedding_model=reply.embedding.model,
        embedding_dimensions=reply.embedding.dimensions,
        embedding_fingerprint=reply.embedding.fingerprint,
        limits=common.copied(results.Limits, reply.limits),
    )


def document(message: document_pb2.Document) -> results.Document:
    """A document's metadata and sizes, without its text."""
    warnings = tuple(common.copied(results.ReadingWarning, one) for one in message.warnings)
    return common.copied(results.Document, message, warnings=warnings)


def ingested(
    reply: documents.IngestDocumentResponse | documents.UploadDocumentResponse,
) -> results.Ingested:
    """An ingested document and its outcome."""
    name = documents.IngestOutcome.Name(reply.outcome)
    return results.Ingested(
        document=document(reply.document),
        outcome=cast(results.IngestOutcome, name.removeprefix("INGEST_OUTCOME_").lower()),
        timings=common.timings(reply.timings),
        trace_id=reply.trace_id,
    )


def _skipped(reason: grounding_pb2.SkippedReason) -> str | None:
    if reason == grounding_pb2.SKIPPED_REASON_UNSPECIFIED:
        return None
    if reason not in grounding_pb2.SkippedReason.values():
        return "unknown"
    return grounding_pb2.SkippedReason.Name(reason).removeprefix("SKIPPED_REASON_").lower()
