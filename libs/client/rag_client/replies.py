"""Results and events from replies, for both flavours of the client."""

from datetime import UTC
from typing import Any, cast

from rag.gateway.v1 import answer_service_pb2 as answers
from rag.gateway.v1 import document_service_pb2 as documents
from rag.types.v1 import document_pb2, grounding_pb2
from rag_client import events, parts, results
from rag_client.events import Event


def found(reply: answers.SearchResponse) -> results.Found:
    """A search's passages."""
    return results.Found(
        passages=parts.scored_all(reply.passages),
        query_terms=tuple(reply.query_terms),
        timings=parts.timings(reply.timings),
        provenance=parts.provenance(reply.provenance),
        request_id=reply.request_id,
        trace_id=reply.trace_id,
    )


def answer(reply: answers.AnswerResponse) -> results.Answer:
    """A whole answer."""
    return results.Answer(
        text=reply.text,
        citations=tuple(parts.citation(item) for item in reply.citations),
        references=parts.scored_all(reply.references),
        grounding=parts.grounding(reply.grounding) if reply.HasField("grounding") else None,
        skipped=_skipped(reply.skipped_reason),
        confidence=reply.confidence if reply.HasField("confidence") else None,
        input_tokens=reply.usage.input_tokens,
        output_tokens=reply.usage.output_tokens,
        timings=parts.timings(reply.timings),
        provenance=parts.provenance(reply.provenance),
        request_id=reply.request_id,
        trace_id=reply.trace_id,
    )


def event(reply: answers.StreamAnswerResponse) -> Event | None:
    """One event; None for a kind that this version does not know, which may be passed over."""
    match reply.WhichOneof("event"):
        case "started":
            return events.Started(reply.started.request_id, reply.started.trace_id)
        case "retrieved":
            return events.Retrieved(parts.scored_all(reply.retrieved.references))
        case "delta":
            return events.Delta(reply.delta.sequence, reply.delta.text)
        case "citation":
            return events.Cited(parts.citation(reply.citation))
        case "grounding":
            return events.Grounded(parts.grounding(reply.grounding))
        case "heartbeat":
            return events.Heartbeat(parts.seconds(reply.heartbeat.elapsed))
        case "warning":
            return _warned(reply.warning)
        case "completed":
            return events.Completed(answer(reply.completed))
        case "incomplete":
            return events.Incomplete(reply.incomplete.reason, reply.incomplete.message)
    return None


def _warned(message: Any) -> events.Warned:
    # The generated types take this message for Python's Warning.
    return events.Warned(message.reason, message.message)


def grounding_check(reply: answers.CheckGroundingResponse) -> results.GroundingCheck:
    """How far a text is supported."""
    return results.GroundingCheck(parts.grounding(reply.grounding), reply.trace_id)


def capabilities(reply: answers.GetCapabilitiesResponse) -> results.Capabilities:
    """What the deployment offers."""
    return results.Capabilities(
        generation_models=tuple(reply.generation_models),
        embedding_model=reply.embedding.model,
        embedding_dimensions=reply.embedding.dimensions,
        embedding_fingerprint=reply.embedding.fingerprint,
        reranker=reply.reranker,
        media_types=tuple(reply.media_types),
        limits=_limits(reply.limits),
        region=reply.region,
        version=reply.version,
    )


def document(message: document_pb2.Document) -> results.Document:
    """What is known of a document."""
    updated = message.update_time if message.HasField("update_time") else None
    return results.Document(
        document_id=message.document_id,
        collection=message.collection,
        title=message.title,
        uri=message.uri,
        media_type=message.media_type,
        metadata=parts.metadata(message.metadata),
        version=message.version,
        passage_count=message.passage_count,
        character_count=message.character_count,
        update_time=updated.ToDatetime(tzinfo=UTC) if updated else None,
    )


def ingested(
    reply: documents.IngestDocumentResponse | documents.UploadDocumentResponse,
) -> results.Ingested:
    """What became of a document."""
    name = documents.IngestOutcome.Name(reply.outcome)
    return results.Ingested(
        document=document(reply.document),
        outcome=cast(results.Outcome, name.removeprefix("INGEST_OUTCOME_").lower()),
        timings=parts.timings(reply.timings),
        trace_id=reply.trace_id,
    )


def _skipped(reason: grounding_pb2.SkippedReason) -> str | None:
    if reason == grounding_pb2.SKIPPED_REASON_UNSPECIFIED:
        return None
    if reason not in grounding_pb2.SkippedReason.values():
        return "unknown"
    return grounding_pb2.SkippedReason.Name(reason).removeprefix("SKIPPED_REASON_").lower()


def _limits(message: answers.Limits) -> results.Limits:
    return results.Limits(
        query_characters=message.query_characters,
        top_k=message.top_k,
        candidates=message.candidates,
        passages=message.passages,
        document_bytes=message.document_bytes,
        upload_bytes=message.upload_bytes,
        deadline=parts.seconds(message.deadline),
    )
