"""The failures of the HTTP API: one response for each status, and the schemas of what it holds."""

from collections.abc import Mapping
from http import HTTPStatus

import grpc
from google.protobuf.descriptor import Descriptor
from google.rpc import error_details_pb2 as details

from rag_contract.errors import AppError
from rag_contract.status import CODES, DOMAIN, family, tree
from rag_edge.local_replies import LOCAL_REPLIES
from tools.docs.openapi.schemas import Schema, Schemas

# https://cloud.google.com/apis/design/errors, "Handling errors"; Envoy's table is the same. Nobody is left
# to hear of CANCELLED.
HTTP: dict[grpc.StatusCode, HTTPStatus | None] = {
    grpc.StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    grpc.StatusCode.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    grpc.StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    grpc.StatusCode.ABORTED: HTTPStatus.CONFLICT,
    grpc.StatusCode.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    grpc.StatusCode.CANCELLED: None,
    grpc.StatusCode.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
    grpc.StatusCode.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    grpc.StatusCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
}
DETAILS: dict[Descriptor, str] = {
    details.ErrorInfo.DESCRIPTOR: "Constant reason, for programs.",
    details.BadRequest.DESCRIPTOR: "Each invalid field, with its name in the contract.",
    details.QuotaFailure.DESCRIPTOR: "The limit that was reached.",
    details.PreconditionFailure.DESCRIPTOR: "The precondition that is not met.",
    details.RetryInfo.DESCRIPTOR: "Delay after which a retry can succeed.",
    details.RequestInfo.DESCRIPTOR: "The request id, and the trace id as serving data.",
    details.LocalizedMessage.DESCRIPTOR: "The message in the language that the caller requested.",
}


def failure_schemas() -> Mapping[str, Schema]:
    """Schemas of google.rpc.Status and of each detail that the error contract knows, by name."""
    schemas = Schemas(
        comments={kind.full_name: text for kind, text in DETAILS.items()},
        limits={
            "google.rpc.ErrorInfo.reason": {"enum": sorted({kind.reason for kind in tree()})},
            "google.rpc.ErrorInfo.domain": {"const": DOMAIN},
        },
        given={"google.rpc.ErrorInfo.reason", "google.rpc.ErrorInfo.domain"},
    )
    for kind in DETAILS:
        schemas.message(kind)
    return {**schemas.components, "Status": _status()}


def failure_responses() -> dict[str, Schema]:
    """The response of each HTTP status that is not a success, by the name that `failures` refers to."""
    return {
        _name(status): {
            "description": "\n".join(
                f"- {kind.reason}: {' '.join((kind.__doc__ or '').split())}" for kind in kinds
            ),
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Status"}}},
        }
        for status, kinds in _kinds().items()
    }


def failures() -> dict[str, Schema]:
    """References to all of them, by status: any method can fail in any of these ways."""
    return {
        str(status.value): {"$ref": f"#/components/responses/{_name(status)}"}
        for status in sorted(_kinds())
    }


def _kinds() -> dict[HTTPStatus, list[type[AppError]]]:
    """The errors by status: the gateway's as Envoy translates their code, and the edge's own."""
    pairs = [(HTTP[CODES[family(kind)]], kind) for kind in tree()]
    pairs += [(HTTPStatus(one.status), type(one.error)) for one in LOCAL_REPLIES]
    result: dict[HTTPStatus, list[type[AppError]]] = {}
    for status, kind in dict.fromkeys(pairs):
        if status:
            result.setdefault(status, []).append(kind)
    return result


def _name(status: HTTPStatus) -> str:
    return f"Failure{status.value}"


def _status() -> Schema:
    codes = sorted(code.value[0] for code in set(CODES.values()))
    return {
        "type": "object",
        "description": "Why a call failed: google.rpc.Status.",
        "properties": {
            "code": {"type": "integer", "enum": codes, "description": "The gRPC code."},
            "message": {"type": "string", "description": "Message for people; may change."},
            "details": {"type": "array", "items": {"oneOf": [_marked(kind) for kind in DETAILS]}},
        },
        "required": ["code", "message", "details"],
    }


def _marked(kind: Descriptor) -> Schema:
    """The schema of a detail with the name by which a google.protobuf.Any says what is in it."""
    mark = {"const": f"type.googleapis.com/{kind.full_name}"}
    return {
        "$ref": f"#/components/schemas/{kind.name}",
        "properties": {"@type": mark},
        "required": ["@type"],
    }
