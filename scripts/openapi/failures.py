"""The failures of the HTTP API: one response for each status, and the schemas of what it holds."""

from collections.abc import Mapping
from http import HTTPStatus

import grpc
from google.protobuf.descriptor import Descriptor
from google.rpc import error_details_pb2 as details
from scripts.openapi.schemas import Schema, Schemas

from rag_common.errors import AppError
from rag_common.rpc.status import CODES, DOMAIN, tree
from rag_local.refusals import REFUSALS

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
    details.ErrorInfo.DESCRIPTOR: "Why, for programs.",
    details.BadRequest.DESCRIPTOR: "Each field that is wrong, named as in the contract.",
    details.QuotaFailure.DESCRIPTOR: "The bound that was reached.",
    details.PreconditionFailure.DESCRIPTOR: "What has to be otherwise first.",
    details.RetryInfo.DESCRIPTOR: "When another try can succeed.",
    details.RequestInfo.DESCRIPTOR: "The request's id in logs, and the id of its trace.",
    details.LocalizedMessage.DESCRIPTOR: "The message in a language that the caller asked for.",
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
    pairs = [(HTTP[CODES[next(b for b in kind.__mro__ if b in CODES)]], kind) for kind in tree()]
    pairs += [(HTTPStatus(one.status), type(one.error)) for one in REFUSALS]
    found: dict[HTTPStatus, list[type[AppError]]] = {}
    for status, kind in dict.fromkeys(pairs):
        if status:
            found.setdefault(status, []).append(kind)
    return found


def _name(status: HTTPStatus) -> str:
    return f"Failure{status.value}"


def _status() -> Schema:
    codes = sorted(code.value[0] for code in set(CODES.values()))
    return {
        "type": "object",
        "description": "Why a call failed: google.rpc.Status.",
        "properties": {
            "code": {"type": "integer", "enum": codes, "description": "The gRPC code."},
            "message": {"type": "string", "description": "For people; it may change."},
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
