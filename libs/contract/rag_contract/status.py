"""Conversion of every AppError to google.rpc.Status and back."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2 as details
from google.rpc.status_pb2 import Status

from rag_contract import errors, violations
from rag_contract.error_messages import KOREAN
from rag_contract.errors import AppError
from rag_contract.languages import prefers_korean
from rag_contract.violations import ENTRY_BYTES, MESSAGE_BYTES, NAME_BYTES, truncate

M = TypeVar("M", bound=Message)

DOMAIN = "rag-platform"
DETAILS_KEY = "grpc-status-details-bin"

# Trailers over about 8 KiB lose the real status, so their contents are truncated: the message, which
# they contain three times and percent-encoded once, and the details, to under 4 KiB in total.
_METADATA_BYTES = 1024
# Violations and metadata together: the violations get what the metadata leaves.
_FACTS_BYTES = 2432


class CallInfo(Protocol):
    """What a status tells a caller about its call: the ids to quote, and the language to write in.

    `language` is the call's accept-language header.
    """

    @property
    def request_id(self) -> str: ...
    @property
    def trace_id(self) -> str: ...
    @property
    def language(self) -> str: ...


CODES: dict[type[AppError], grpc.StatusCode] = {
    errors.InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.ResourceExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Aborted: grpc.StatusCode.ABORTED,
    errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.Cancelled: grpc.StatusCode.CANCELLED,
    errors.Unimplemented: grpc.StatusCode.UNIMPLEMENTED,
    errors.Internal: grpc.StatusCode.INTERNAL,
}


def tree(root: type[AppError] = AppError) -> Iterator[type[AppError]]:
    """Every kind of error that can be raised, each before its subclasses."""
    for kind in root.__subclasses__():
        if hasattr(kind, "reason"):
            yield kind
        yield from tree(kind)


def family(kind: type[AppError]) -> type[AppError]:
    """The family that determines the code: the nearest in CODES, Internal if there is none."""
    return next((base for base in kind.__mro__ if base in CODES), errors.Internal)


def code(error: AppError) -> grpc.StatusCode:
    """The gRPC code of an error: that of its family, INTERNAL if it has none."""
    return CODES[family(type(error))]


def message(error: AppError) -> str:
    """The error's message, truncated for a trailer."""
    return truncate(error.message, MESSAGE_BYTES)


def to_status(error: AppError, call: CallInfo | None) -> Status:
    """The status for the caller, with all details that the contract requires."""
    status = Status(code=code(error).value[0], message=message(error))
    for detail in _details(error, call):
        status.details.add().Pack(detail)
    return status


def trailers(error: AppError, call: CallInfo | None) -> tuple[tuple[str, str | bytes], ...]:
    """The trailing metadata with the status, and the pushback header that gRPC's retries respect."""
    pairs: list[tuple[str, str | bytes]] = [
        (DETAILS_KEY, to_status(error, call).SerializeToString())
    ]
    if error.retry_after is not None and isinstance(error, errors.Unavailable):
        pairs.append(("grpc-retry-pushback-ms", str(round(error.retry_after * 1000))))
    return tuple(pairs)


def from_rpc_error(error: grpc.RpcError, peer: str = "") -> AppError:
    """The AppError of the kind that the server raised.

    An unknown reason, or a status without one, becomes the kind of its family with the reason
    UNSPECIFIED; a code without a family becomes Internal. `peer` names the server in messages.
    """
    status = _status_of(error)
    parsed = status and _from_details(status)
    return parsed or _from_code(error, peer)


def _details(error: AppError, call: CallInfo | None) -> Iterator[Message]:
    korean = bool(call and prefers_korean(call.language))
    info = details.ErrorInfo(
        reason=error.reason,
        domain=DOMAIN,
        metadata=dict(_fitting_metadata(error.metadata.items())),
    )
    yield info
    if isinstance(error, errors.InvalidArgument) and error.violations:
        fitting = violations.fitting(error, korean, _FACTS_BYTES - info.ByteSize())
        yield details.BadRequest(field_violations=fitting)
    yield from _family_details(error)
    if error.retry_after is not None:
        retry = details.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(error.retry_after * 1000))
        yield retry
    if call:
        yield details.RequestInfo(
            request_id=call.request_id, serving_data=f"trace_id={call.trace_id}"
        )
        yield violations.localized(KOREAN[error.reason] if korean else "", message(error))


def _family_details(error: AppError) -> Iterator[Message]:
    if isinstance(error, errors.ResourceExhausted):
        quota = details.QuotaFailure.Violation(
            subject=truncate(error.metadata.get("subject", "service"), NAME_BYTES),
            description=truncate(error.message),
        )
        yield details.QuotaFailure(violations=[quota])
    if isinstance(error, errors.FailedPrecondition):
        broken = details.PreconditionFailure.Violation(
            type=error.reason,
            subject=truncate(error.metadata.get("subject", ""), NAME_BYTES),
            description=truncate(error.message),
        )
        yield details.PreconditionFailure(violations=[broken])


def _fitting_metadata(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    left = _METADATA_BYTES
    for key, value in pairs:
        name, text = truncate(key, NAME_BYTES), truncate(value)
        left -= len(name.encode()) + len(text.encode()) + ENTRY_BYTES
        if left < 0:
            return
        yield name, text


def _status_of(error: grpc.RpcError) -> Status | None:
    trailing: Any = error.trailing_metadata() or ()
    for key, value in trailing:
        if key == DETAILS_KEY:
            try:
                return Status.FromString(value)
            except DecodeError:
                return None
    return None


def _from_details(status: Status) -> AppError | None:
    info = _unpack(status.details, details.ErrorInfo())
    if not info or info.domain != DOMAIN:
        return None
    kind = _BY_REASON.get(info.reason) or _UNSPECIFIED.get(status.code)
    if not kind:
        return None
    bad = _unpack(status.details, details.BadRequest())
    retry = _unpack(status.details, details.RetryInfo())
    request = _unpack(status.details, details.RequestInfo())
    metadata = dict(info.metadata)
    if request:
        metadata.setdefault("request_id", request.request_id)
        metadata.setdefault("trace_id", request.serving_data.removeprefix("trace_id="))
    return kind(
        status.message,
        metadata=metadata,
        retry_after=retry.retry_delay.ToMilliseconds() / 1000 if retry else None,
        violations=[
            violations.parse(item, info.reason) for item in (bad.field_violations if bad else ())
        ],
    )


def _unpack(packed: Sequence[AnyMessage], kind: M) -> M | None:
    return next((kind for detail in packed if detail.Unpack(kind)), None)


def _from_code(error: grpc.RpcError, peer: str) -> AppError:
    metadata = {"peer": peer} if peer else {}
    name = peer or "the service"
    code = error.code()
    match code:
        case grpc.StatusCode.UNAVAILABLE:
            return errors.DependencyDown(
                f"{name} does not answer", metadata=metadata, retry_after=1.0
            )
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return errors.DeadlineExceeded(
                f"{name} did not answer in time", metadata={"stage": name, **metadata}
            )
        case grpc.StatusCode.CANCELLED:
            return errors.Cancelled(f"the call to {name} was cancelled", metadata=metadata)
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return errors.MessageTooLarge(
                f"a message to or from {name} is over the size limit", metadata=metadata
            )
        case _:
            kind = _UNSPECIFIED.get(code.value[0], errors.Internal)
            return kind(f"{name} answered {code.name}", metadata=metadata)


UNSPECIFIED = "UNSPECIFIED"


def _unspecified(family: type[AppError]) -> type[AppError]:
    """The kind of a family for reasons unknown to this version."""
    if hasattr(family, "reason"):
        return family
    doc = "The service gave no reason that this version knows."
    return type(f"{family.__name__}Unspecified", (family,), {"reason": UNSPECIFIED, "__doc__": doc})


_BY_REASON = {kind.reason: kind for kind in tree()}
_UNSPECIFIED: dict[int, type[AppError]] = {
    code.value[0]: _unspecified(family) for family, code in CODES.items()
}
