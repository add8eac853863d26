"""AppError to google.rpc.Status and back: the one table of the error contract, total both ways."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2 as details
from google.rpc.status_pb2 import Status

from rag_common import errors
from rag_common.context import Call
from rag_common.errors import AppError
from rag_common.messages import KOREAN
from rag_common.rpc import violations
from rag_common.rpc.languages import prefers_korean
from rag_common.rpc.violations import ENTRY_BYTES, MESSAGE_BYTES, NAME_BYTES, cut

M = TypeVar("M", bound=Message)

DOMAIN = "rag-platform"
DETAILS_KEY = "grpc-status-details-bin"

# Trailers over about 8 KiB lose the real status, so everything in them is cut: the message, which
# they hold three times and percent-encoded once, and the details, to under 4 KiB together.
_METADATA_BYTES = 1024
# Violations and metadata together: what one of them leaves, the other may take.
_FACTS_BYTES = 2432

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
    """Every kind of error there is, each before its subclasses."""
    for kind in root.__subclasses__():
        yield kind
        yield from tree(kind)


def code(error: AppError) -> grpc.StatusCode:
    """The gRPC code of an error: that of its nearest family, INTERNAL where it has none."""
    families = (CODES[kind] for kind in type(error).__mro__ if kind in CODES)
    return next(families, grpc.StatusCode.INTERNAL)


def message(error: AppError) -> str:
    """The error's sentence, short enough for a trailer."""
    return cut(error.message, MESSAGE_BYTES)


def to_status(error: AppError, call: Call | None) -> Status:
    """The status that a caller gets, with every detail that its row of the contract asks for."""
    status = Status(code=code(error).value[0], message=message(error))
    for detail in _details(error, call):
        status.details.add().Pack(detail)
    return status


def trailers(error: AppError, call: Call | None) -> tuple[tuple[str, str | bytes], ...]:
    """The trailing metadata that carries the status, and the hint that gRPC's own retries obey."""
    pairs: list[tuple[str, str | bytes]] = [
        (DETAILS_KEY, to_status(error, call).SerializeToString())
    ]
    if error.retry_after is not None and isinstance(error, errors.Unavailable):
        pairs.append(("grpc-retry-pushback-ms", str(round(error.retry_after * 1000))))
    return tuple(pairs)


def from_rpc_error(error: grpc.RpcError, peer: str = "") -> AppError:
    """The error that the other side raised, of the same type; of the nearest type where it is not ours."""
    status = _status_of(error)
    found = status and _from_details(status)
    return found or _from_code(error, peer)


def _details(error: AppError, call: Call | None) -> Iterator[Message]:
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
            request_id=call.request_id, serving_data=f"trace_id={call.trace.trace_id}"
        )
        yield violations.localized(KOREAN[error.reason] if korean else "", message(error))


def _family_details(error: AppError) -> Iterator[Message]:
    if isinstance(error, errors.ResourceExhausted):
        quota = details.QuotaFailure.Violation(
            subject=cut(error.metadata.get("subject", "service"), NAME_BYTES),
            description=cut(error.message),
        )
        yield details.QuotaFailure(violations=[quota])
    if isinstance(error, errors.FailedPrecondition):
        broken = details.PreconditionFailure.Violation(
            type=error.reason,
            subject=cut(error.metadata.get("subject", ""), NAME_BYTES),
            description=cut(error.message),
        )
        yield details.PreconditionFailure(violations=[broken])


def _fitting_metadata(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    left = _METADATA_BYTES
    for key, value in pairs:
        name, text = cut(key, NAME_BYTES), cut(value)
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
    kind = info and info.domain == DOMAIN and _BY_REASON.get(info.reason)
    if not info or not kind:
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
            violations.read(item, info.reason) for item in (bad.field_violations if bad else ())
        ],
    )


def _unpack(found: Sequence[AnyMessage], kind: M) -> M | None:
    return next((kind for detail in found if detail.Unpack(kind)), None)


def _from_code(error: grpc.RpcError, peer: str) -> AppError:
    metadata = {"peer": peer} if peer else {}
    name = peer or "the service"
    code = error.code()
    match code:
        case grpc.StatusCode.UNAVAILABLE:
            return errors.Unavailable(f"{name} does not answer", metadata=metadata, retry_after=1.0)
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
            family = _BY_CODE.get(code, errors.Internal)
            return family(f"{name} answered {code.name}", metadata=metadata)


_BY_REASON = {kind.reason: kind for kind in tree()}
_BY_CODE = {code: kind for kind, code in CODES.items()}
