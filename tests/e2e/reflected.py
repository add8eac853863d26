"""The public methods as the gateway itself describes them, so that no new one is forgotten."""

import tomllib
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from rag_contract import request_streams
from rag_gateway.auth.policy import AccessPolicy
from rag_gateway.auth.policy_file import DEFAULT_POLICY, read_policy

Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Method:
    """A method by its reflected description; messages are of the description's own classes."""

    path: str
    description: MethodDescriptor

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def request(self, **values: Any) -> Message:
        """A request in which each field of one of these names has that value, at any depth."""
        message: Message = GetMessageClass(self.description.input_type)()
        _fill(message, values)
        return message

    async def __call__(
        self, channel: grpc.aio.Channel, metadata: Metadata, *requests: Message, timeout: float = 60
    ) -> list[Message]:
        """All replies to a call with these messages, which are one unless the client streams."""
        begin = self._callable(channel)
        if self.description.client_streaming:
            call = begin(metadata=metadata, timeout=timeout)
            if self.description.server_streaming:
                return [reply async for reply in request_streams.converse(call, requests)]
            return [await request_streams.upload(call, requests)]
        call = begin(requests[0], metadata=metadata, timeout=timeout)
        if self.description.server_streaming:
            return [reply async for reply in call]
        return [await call]

    def _callable(self, channel: grpc.aio.Channel) -> Any:
        sides = (self.description.client_streaming, self.description.server_streaming)
        shape = "_".join("stream" if streaming else "unary" for streaming in sides)
        return getattr(channel, shape)(
            self.path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(self.description.output_type).FromString,
        )


def methods(target: str) -> list[Method]:
    """Every method of the platform's own services at a target."""
    with grpc.insecure_channel(target) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = DescriptorPool(database)
        return [
            Method(f"/{service}/{method.name}", method)
            for service in sorted(database.get_services())
            if service.startswith("rag.")
            for method in pool.FindServiceByName(service).methods
        ]


def _fill(message: Message, values: dict[str, Any]) -> None:
    for field in message.DESCRIPTOR.fields:
        if field.containing_oneof and message.WhichOneof(field.containing_oneof.name):
            continue
        if field.name in values:
            _set(message, field, values[field.name])
        elif _is_ours(field):
            _fill(getattr(message, field.name), values)


def _is_ours(field: FieldDescriptor) -> bool:
    """Whether the field is one message of the platform's own, and not a timestamp or the like."""
    single = field.type == FieldDescriptor.TYPE_MESSAGE and not field.is_repeated
    return single and field.message_type.full_name.startswith("rag.")


def _set(message: Message, field: FieldDescriptor, value: Any) -> None:
    if field.is_repeated:
        getattr(message, field.name).extend([value])
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        getattr(message, field.name).update(value)
    else:
        setattr(message, field.name, value)


def policy() -> AccessPolicy:
    """The policy that comes with the gateway."""
    named = tomllib.loads(DEFAULT_POLICY.read_text("utf-8"))["methods"]
    return read_policy(DEFAULT_POLICY, named)
