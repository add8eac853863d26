"""Conversions of messages that several replies contain."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import UTC
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from rag.gateway.v1 import options_pb2 as wire
from rag.types.v1 import grounding_pb2, passage_pb2
from rag_client.models import results

ModelT = TypeVar("ModelT")


def copied(model: type[ModelT], message: Message, **others: Any) -> ModelT:
    """The model with the values of the message's fields of the same names, and with `others`.

    Repeated fields become tuples, and optional fields that are not set None. Durations become seconds,
    times datetimes in UTC, and metadata plain values, whose numbers are floats.
    """
    known: Any = model  # a dataclass
    names = [field.name for field in fields(known) if field.name not in others]
    return model(**{name: _value(message, name) for name in names}, **others)


def _value(message: Message, name: str) -> Any:
    field, value = message.DESCRIPTOR.fields_by_name[name], getattr(message, name)
    if field.is_repeated:
        return tuple(value)
    if isinstance(value, Duration):
        return seconds(value)
    if isinstance(value, Struct):
        return MessageToDict(value)
    if field.has_presence and not message.HasField(name):
        return None
    return value.ToDatetime(tzinfo=UTC) if isinstance(value, Timestamp) else value


def passage(message: passage_pb2.Passage) -> results.Passage:
    """A passage of a document."""
    span = copied(results.Span, message.span) if message.HasField("span") else None
    location = copied(results.Location, message.location) if message.HasField("location") else None
    return copied(results.Passage, message, span=span, location=location)


def scored_passages(
    messages: Iterable[passage_pb2.ScoredPassage],
) -> tuple[results.ScoredPassage, ...]:
    """Passages with their scores, in the order of the messages."""
    return tuple(
        copied(results.ScoredPassage, message.evidence, passage=passage(message.passage))
        for message in messages
    )


def citation(message: grounding_pb2.Citation) -> results.Citation:
    """The quote that supports a sentence."""
    return copied(results.Citation, message)


def grounding(message: grounding_pb2.Grounding) -> results.Grounding:
    """How well passages support a text."""
    claims = tuple(copied(results.Claim, claim) for claim in message.claims)
    return results.Grounding(message.score, claims)


def provenance(message: wire.Provenance) -> results.Provenance:
    """The models and versions that produced a reply."""
    return copied(results.Provenance, message)


def timings(stages: Iterable[wire.StageTiming]) -> Mapping[str, float]:
    """The duration of each stage in seconds."""
    return {timing.stage: seconds(timing.duration) for timing in stages}


def seconds(duration: Duration) -> float:
    """A duration in seconds."""
    return float(duration.ToTimedelta().total_seconds())
