"""The edge's own error responses, which follow the platform's error contract, as gRPC and JSON."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.rpc import error_details_pb2 as details
from google.rpc.status_pb2 import Status

from rag_contract import errors
from rag_contract.error_messages import KOREAN
from rag_contract.errors import AppError
from rag_contract.status import DETAILS_KEY, code, to_status


@dataclass(frozen=True, slots=True)
class LocalReply:
    """An error of the contract, its HTTP status, and the CEL condition under which Envoy sends it.

    The error's message may include Envoy's own, which explains why a request cannot be decoded.
    """

    condition: str
    status: int
    error: AppError


_TRANSCODING = "response.code_details.contains('grpc_json_transcode_failure')"
_JWT = "response.code_details.startsWith('jwt_authn_access_denied')"

# The first whose condition holds is used.
LOCAL_REPLIES = (
    LocalReply(
        f"{_TRANSCODING} && response.code == 400",
        400,
        errors.MessageMalformed("%LOCAL_REPLY_BODY%"),
    ),
    LocalReply(
        f"{_TRANSCODING} && response.code_details.contains('limit_reached')",
        500,
        errors.MessageTooLarge("the reply is over the size limit: request less"),
    ),
    LocalReply(
        f"{_JWT} && response.code_details.contains('missing')",
        401,
        errors.TokenMissing("send `authorization: Bearer <token>` with the call"),
    ),
    LocalReply(
        f"{_JWT} && response.code_details.contains('expired')",
        401,
        errors.TokenExpired("the token has expired"),
    ),
    LocalReply(
        f"{_JWT} && response.code_details.contains('remote_fetch')",
        503,
        errors.DependencyDown("the keys for token verification cannot be read", retry_after=2.0),
    ),
    LocalReply(
        _JWT,
        401,
        errors.TokenInvalid("the token's signature, issuer, audience or format is invalid"),
    ),
    LocalReply(
        "response.code == 400", 400, errors.MessageMalformed("the request cannot be decoded")
    ),
    LocalReply(
        "response.code == 429",
        429,
        errors.RateLimited("too many calls at the moment", retry_after=1.0),
    ),
    LocalReply(
        "response.code == 404 || response.code == 405",
        404,
        errors.Unimplemented("there is no such method"),
    ),
    LocalReply(
        "response.code == 413",
        413,
        errors.MessageTooLarge("the request is over the size limit, or has no content-length"),
    ),
    LocalReply(
        "response.code == 408 || response.code == 504",
        504,
        errors.DeadlineExceeded("the deadline of this call has passed", metadata={"stage": "edge"}),
    ),
    LocalReply(
        "response.code == 503 && response.code_details == 'overload'",
        503,
        errors.Overloaded("the edge is overloaded", retry_after=1.0),
    ),
    LocalReply(
        "response.code == 502 || response.code == 503",
        503,
        errors.DependencyDown("the gateway does not answer", retry_after=1.0),
    ),
    LocalReply(
        "response.code == 501", 501, errors.Unimplemented("this kind of request is not supported")
    ),
    LocalReply("response.code == 500", 500, errors.Internal("internal error")),
)


# Errors of the gateway whose HTTP status is not that of their gRPC code, by reason.
HTTP_STATUSES = {errors.MessageTooLarge.reason: "413"}


def base64_spellings(text: str) -> list[str]:
    """The encodings of an ASCII text inside a base64 text, for each of the three alignments.

    Characters that depend on the bytes around the text are left out.
    """
    spellings = []
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + text.encode()).decode().rstrip("=")
        first = (offset * 8 + 5) // 6
        end = (offset + len(text)) * 8 // 6
        spellings.append(encoded[first:end])
    return spellings


def local_replies() -> dict[str, Any]:
    """Envoy's LocalReplyConfig: one mapper for each reply, language and format."""
    return {"mappers": [mapper for reply in LOCAL_REPLIES for mapper in _mappers(reply)]}


def _mappers(reply: LocalReply) -> Iterator[dict[str, Any]]:
    for korean in (True, False):
        for grpc in (True, False):
            status = to_status(reply.error, None)
            status.details.add().Pack(_localized(reply.error, korean=korean))
            yield _mapper(reply, status, korean=korean, grpc=grpc)


def _mapper(reply: LocalReply, status: Status, *, korean: bool, grpc: bool) -> dict[str, Any]:
    conditions = [_cel(reply.condition)]
    conditions += [_header("accept-language", r"\s*[kK][oO]([^A-Za-z].*)?")] if korean else []
    conditions += [_header("x-edge-form", "application/grpc.*")] if grpc else []
    condition = conditions[0] if len(conditions) == 1 else {"and_filter": {"filters": conditions}}
    if not grpc:
        return {
            "filter": condition,
            "status_code": reply.status,
            "body_format_override": {"json_format": _json(status)},
        }
    return {
        "filter": condition,
        "body_format_override": {"text_format_source": {"inline_string": status.message}},
        "headers_to_add": [
            _added("grpc-status", str(code(reply.error).value[0])),
            _added(DETAILS_KEY, base64.b64encode(status.SerializeToString()).decode().rstrip("=")),
        ],
    }


def _json(status: Status) -> dict[str, Any]:
    """The status as JSON, with placeholders for the call's ids, which Envoy replaces."""
    document: dict[str, Any] = MessageToDict(status)
    request = {
        "@type": "type.googleapis.com/google.rpc.RequestInfo",
        "requestId": "%REQ(X-REQUEST-ID):64%",
        "servingData": "trace_id=%REQ(X-EDGE-TRACE)%",
    }
    return {**document, "details": [*document["details"], request]}


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
