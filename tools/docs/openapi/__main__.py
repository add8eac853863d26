"""Write docs/openapi.json; with --check, only say whether it is current."""

import importlib
import json
import pkgutil
import sys
import tomllib

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

import rag.gateway.v1 as public
from rag_gateway.auth.policy_file import DEFAULT_POLICY, read_policy
from tools import ROOT
from tools.docs.openapi.comments import comments
from tools.docs.openapi.failures import failure_responses, failure_schemas
from tools.docs.openapi.limits import limits
from tools.docs.openapi.operations import Operations, grpc_path
from tools.docs.openapi.schemas import Schema, Schemas, always_given, reachable
from tools.generated import write_or_check

PAGE = ROOT / "docs" / "openapi.json"
ABOUT = """\
The platform's gRPC API as JSON over HTTP, as provided by Envoy's gRPC-JSON transcoder. Every operation is \
also a gRPC method with the same fields, limits and errors.

- Field names are lowerCamelCase; requests may also use the snake_case names of the contract. Unknown \
fields of a body are ignored; unknown query parameters are rejected.
- 64-bit integers are strings in responses, so that no digit is lost; requests may use strings or numbers. \
A null field counts as unset. Enum values are names.
- A duration is a number of seconds with the suffix s (`3.5s`), a time is RFC 3339 in UTC, bytes are \
base64.
- A streamed response has one JSON object per line, sent as soon as it is available, or server-sent events \
if `Accept` is text/event-stream.
- Every error is a google.rpc.Status. Branch on the reason of its ErrorInfo; the message is for people and \
may change. LocalizedMessage is in Korean if `Accept-Language` begins with `ko`, RequestInfo contains the \
request id and the trace id, and RetryInfo means that a retry can succeed after its delay.
"""


def main() -> int:
    return write_or_check(
        {PAGE: json.dumps(document(), ensure_ascii=False, indent=2) + "\n"}, "make openapi"
    )


def document() -> Schema:
    """The whole document, its parts always in the same order."""
    output = comments()
    result = services()
    methods = [method for service in result for method in service.methods]
    scopes = read_policy(DEFAULT_POLICY, [grpc_path(method) for method in methods]).methods
    keywords, needed = limits([method.input_type for method in methods])
    schemas = Schemas(output, keywords, needed | given_in_replies(methods))
    paths = Operations(schemas, output, scopes).paths(methods)
    return {
        "openapi": "3.1.0",
        "info": {"title": "RAG platform", "version": version(), "description": ABOUT},
        "servers": [{"url": "/", "description": "The edge that serves this document."}],
        "tags": [{"name": s.name, "description": output[s.full_name]} for s in result],
        "paths": paths,
        "components": {
            "schemas": dict(sorted({**failure_schemas(), **schemas.components}.items())),
            "responses": failure_responses(),
            "securitySchemes": security(),
        },
    }


def services() -> list[ServiceDescriptor]:
    """The gateway's services, in the order of their names."""
    result = pkgutil.iter_modules(public.__path__, f"{public.__name__}.")
    names = sorted(module.name for module in result if module.name.endswith("_pb2"))
    files = [importlib.import_module(name).DESCRIPTOR for name in names]
    return [service for file in files for service in file.services_by_name.values()]


def given_in_replies(methods: list[MethodDescriptor]) -> set[str]:
    """Fields that replies always have, of messages that come in no request."""
    requested = set().union(*(reachable(method.input_type) for method in methods))
    inputs = set().union(*(always_given(method.output_type) for method in methods))
    return {field for field in inputs if field.rpartition(".")[0] not in requested}


def version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return str(project["project"]["version"])


def security() -> Schema:
    return {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A token of a trusted issuer, or from IssueToken.",
        },
        "apiKey": {
            "type": "http",
            "scheme": "bearer",
            "description": "A key from CreateApiKey, sent like a token.",
        },
    }


if __name__ == "__main__":
    sys.exit(main())
