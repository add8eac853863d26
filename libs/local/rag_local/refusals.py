"""What the edge says where it refuses a call itself: the platform's own error contract, in gRPC and JSON."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.rpc import error_details_pb2 as details
from google.rpc.status_pb2 import Status

from rag_common import errors
from rag_common.errors import AppError
from rag_common.messages import KOREAN
from rag_common.rpc.status import DETAILS_KEY, code, to_status


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of the contract, the HTTP status of it, and the CEL condition by which Envoy knows it.

    The error's message may hold Envoy's own, which says what is wrong with a request that cannot be read.
    """

    condition: str
    status: int
    error: AppError


_TRANSCODING = "response.code_details.contains('grpc_json_transcode_failure')"
_JWT = "response.code_details.startsWith('jwt_authn_access_denied')"

# The first that fits counts.
REFUSALS = (
    Refusal(
        f"{_TRANSCODING} && response.code == 400",
        400,
        errors.InvalidArgument("%LOCAL_REPLY_BODY%"),
    ),
    Refusal(
        f"{_TRANSCODING} && response.code_details.contains('limit_reached')",
        500,
        errors.MessageTooLarge("the reply is over the size limit: ask for less"),
    ),
    Refusal(
        f"{_JWT} && response.code_details.contains('missing')",
        401,
        errors.TokenMissing("send `authorization: Bearer <token>` with the call"),
    ),
    Refusal(
        f"{_JWT} && response.code_details.contains('expired')",
        401,
        errors.TokenExpired("the token has expired"),
    ),
    Refusal(
        f"{_JWT} && response.code_details.contains('remote_fetch')",
        503,
        errors.Unavailable("the keys that tokens are checked with cannot be read", retry_after=2.0),
    ),
    Refusal(
        _JWT,
        401,
        errors.Unauthenticated("the token's signature, issuer, audience or form is wrong"),
    ),
    Refusal("response.code == 400", 400, errors.InvalidArgument("the request cannot be read")),
    Refusal(
        "response.code == 429",
        429,
        errors.RateLimited("too many calls for now", retry_after=1.0),
    ),
    Refusal(
        "response.code == 404 || response.code == 405",
        404,
        errors.Unimplemented("there is no such method"),
    ),
    Refusal(
        "response.code == 413",
        413,
        errors.MessageTooLarge(
            "the request is over the size limit, or does not say how long it is"
        ),
    ),
    Refusal(
        "response.code == 408 || response.code == 504",
        504,
        errors.DeadlineExceeded("the time for this call is used up", metadata={"stage": "edge"}),
    ),
    Refusal(
        "response.code == 503 && response.code_details == 'overload'",
        503,
        errors.Overloaded("the edge has more work than it can do", retry_after=1.0),
    ),
    Refusal(
        "response.code == 502 || response.code == 503",
        503,
        errors.Unavailable("the gateway does not answer", retry_after=1.0),
    ),
    Refusal("response.code == 501", 501, errors.Unimplemented("this way of asking is not known")),
    Refusal("response.code == 500", 500, errors.Internal("internal error")),
)


def local_replies() -> dict[str, Any]:
    """Envoy's LocalReplyConfig: one mapper for each refusal, language and form."""
    return {"mappers": [mapper for refusal in REFUSALS for mapper in _mappers(refusal)]}


def _mappers(refusal: Refusal) -> Iterator[dict[str, Any]]:
    for korean in (True, False):
        for grpc in (True, False):
            status = to_status(refusal.error, None)
            status.details.add().Pack(_localized(refusal.error, korean=korean))
            yield _mapper(refusal, status, korean=korean, grpc=grpc)


def _mapper(refusal: Refusal, status: Status, *, korean: bool, grpc: bool) -> dict[str, Any]:
    conditions = [_cel(refusal.condition)]
    conditions += [_header("accept-language", r"\s*[kK][oO]([^A-Za-z].*)?")] if korean else []
    conditions += [_header("x-edge-form", "application/grpc.*")] if grpc else []
    chosen = conditions[0] if len(conditions) == 1 else {"and_filter": {"filters": conditions}}
    if not grpc:
        return {
            "filter": chosen,
            "status_code": refusal.status,
            "body_format_override": {"json_format": _json(status)},
        }
    return {
        "filter": chosen,
        "body_format_override": {"text_format_source": {"inline_string": status.message}},
        "headers_to_add": [
            _added("grpc-status", str(code(refusal.error).value[0])),
            _added(DETAILS_KEY, base64.b64encode(status.SerializeToString()).decode().rstrip("=")),
        ],
    }


def _json(status: Status) -> dict[str, Any]:
    """The status as JSON, with the ids of the call, which Envoy puts in."""
    made: dict[str, Any] = MessageToDict(status)
    request = {
        "@type": "type.googleapis.com/google.rpc.RequestInfo",
        "requestId": "%REQ(X-REQUEST-ID):64%",
        "servingData": "trace_id=%REQ(X-EDGE-TRACE)%",
    }
    return {**made, "details": [*made["details"], request]}


def _localized(error: AppError, *, korean: bool) -> details.LocalizedMessage:
    if korean:
        return details.LocalizedMessage(locale="ko-KR", message=KOREAN[error.reason])
    return details.LocalizedMessage(locale="en-US", message=error.message)


def _cel(expression: str) -> dict[str, Any]:
    return {
        "extension_filter": {
            "name": "envoy.access_loggers.extension_filters.cel",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                "expression": expression,
            },
        }
    }


def _header(name: str, pattern: str) -> dict[str, Any]:
    match = {"name": name, "string_match": {"safe_regex": {"regex": pattern}}}
    return {"header_filter": {"header": match}}


def _added(key: str, value: str) -> dict[str, Any]:
    return {
        "header": {"key": key, "value": value},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }
