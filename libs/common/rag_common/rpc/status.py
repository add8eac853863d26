"""AppError to google.rpc.Status and back: the one table of the error contract, total both ways."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2 as details
from google.rpc.status_pb2 import Status

from rag_common import errors
from rag_common.context import Call
from rag_common.errors import AppError, FieldViolation
from rag_common.messages import KOREAN

M = TypeVar("M", bound=Message)

DOMAIN = "rag-platform"
DETAILS_KEY = "grpc-status-details-bin"

# Details over about 8 KiB push the real status out of the trailers, so everything in them is cut short.
_MOST_VIOLATIONS = 16
_MOST_CHARACTERS = 256

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
    errors.Internal: grpc.StatusCode.INTERNAL,
}


def tree(root: type[AppError] = AppError) -> Iterator[type[AppError]]:
    """Every kind of error there is, each before its subclasses."""
    for kind in root.__subclasses__():
        yield kind
        yield from tree(kind)


def code(error: AppError) -> grpc.StatusCode:
    """The gRPC code of an error: that of its nearest family."""
    return next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)


def to_status(error: AppError, call: Call | None) -> Status:
    """The status that a caller gets, with every detail that its row of the contract asks for."""
    status = Status(code=code(error).value[0], message=_cut(error.message))
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
    yield details.ErrorInfo(
        reason=error.reason,
        domain=DOMAIN,
        metadata={key: _cut(value) for key, value in error.metadata.items()},
    )
    yield from _family_details(error)
    if error.retry_after is not None:
        retry = details.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(error.retry_after * 1000))
        yield retry
    if call:
        yield details.RequestInfo(
            request_id=call.request_id, serving_data=f"trace_id={call.trace.trace_id}"
        )
        yield _localized(error, call.language)


def _family_details(error: AppError) -> Iterator[Message]:
    if isinstance(error, errors.InvalidArgument) and error.violations:
        yield details.BadRequest(
            field_violations=[
                details.BadRequest.FieldViolation(
                    field=_cut(item.field), description=_cut(item.description), reason=error.reason
                )
                for item in error.violations[:_MOST_VIOLATIONS]
            ]
        )
    if isinstance(error, errors.ResourceExhausted):
        quota = details.QuotaFailure.Violation(
            subject=error.metadata.get("subject", "service"), description=_cut(error.message)
        )
        yield details.QuotaFailure(violations=[quota])
    if isinstance(error, errors.FailedPrecondition):
        broken = details.PreconditionFailure.Violation(
            type=error.reason,
            subject=error.metadata.get("subject", ""),
            description=_cut(error.message),
        )
        yield details.PreconditionFailure(violations=[broken])


def _localized(error: AppError, language: str) -> details.LocalizedMessage:
    if language.lower().startswith("ko"):
        return details.LocalizedMessage(locale="ko-KR", message=KOREAN[error.reason])
    return details.LocalizedMessage(locale="en-US", message=_cut(error.message))


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
            FieldViolation(v.field, v.description) for v in (bad.field_violations if bad else ())
        ],
    )


def _unpack(found: Sequence[AnyMessage], kind: M) -> M | None:
    return next((kind for detail in found if detail.Unpack(kind)), None)


def _from_code(error: grpc.RpcError, peer: str) -> AppError:
    metadata = {"peer": peer} if peer else {}
    name = peer or "the service"
    match error.code():
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
            return errors.Internal(f"{name} failed", metadata=metadata)


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"


_BY_REASON = {kind.reason: kind for kind in tree()}
