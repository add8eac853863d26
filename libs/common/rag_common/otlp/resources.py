"""Who sends, as OTLP's message."""

from opentelemetry.proto.resource.v1 import resource_pb2 as pb
from opentelemetry.sdk.resources import Resource

from rag_common.otlp.encoding import attributes


def message(who: Resource) -> pb.Resource:
    """The resource with those of its attributes that are single values."""
    single = {k: v for k, v in who.attributes.items() if isinstance(v, str | bool | int | float)}
    return pb.Resource(attributes=attributes(single))
