"""Write docs/openapi.json; with --check, only say whether it is current."""

import importlib
import json
import pkgutil
import sys
import tomllib
from pathlib import Path

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from scripts.openapi.comments import comments
from scripts.openapi.failures import failure_responses, failure_schemas
from scripts.openapi.limits import limits
from scripts.openapi.operations import Operations, grpc_path
from scripts.openapi.schemas import Schema, Schemas, always_given, reachable

import rag.gateway.v1 as public
from rag_gateway import policy

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "openapi.json"
ABOUT = """\
The platform's gRPC API as JSON over HTTP, as Envoy's gRPC-JSON transcoder gives it. Every operation is also \
a gRPC method, with the same fields, limits and errors.

- Fields are named in lowerCamelCase; their names in the contract (snake_case) are understood too. An unknown \
field of a body is ignored; an unknown query parameter is refused.
- Whole numbers of 64 bits are given as text, so that no digit is lost; numbers are taken in both forms. A \
field that is null counts as not given. Enum values go by name.
- A duration is seconds with an s (`3.5s`), a time is RFC 3339 in UTC, bytes are base64.
- A streamed reply is one JSON object a line, each sent as it comes about; or server-sent events, where \
`Accept` asks for text/event-stream.
- Every error is a google.rpc.Status. Branch on the reason of its ErrorInfo; the message is for people and may \
change. LocalizedMessage is in Korean where `Accept-Language` begins with `ko`, RequestInfo names the request \
and its trace, and where there is a RetryInfo another try can succeed after its delay.
"""


def main() -> int:
    text = json.dumps(document(), ensure_ascii=False, indent=2) + "\n"
    if "--check" in sys.argv:
        if PAGE.is_file() and PAGE.read_text("utf-8") == text:
            return 0
        sys.stderr.write("docs/openapi.json is not what the contract says; run `make openapi`\n")
        return 1
    PAGE.write_text(text, "utf-8")
    return 0


def document() -> Schema:
    """The whole document, its parts always in the same order."""
    said = comments()
    found = services()
    methods = [method for service in found for method in service.methods]
    scopes = policy.load(policy.SHIPPED, [grpc_path(method) for method in methods]).methods
    keywords, needed = limits([method.input_type for method in methods])
    schemas = Schemas(said, keywords, needed | given_in_replies(methods))
    paths = Operations(schemas, said, scopes).paths(methods)
    return {
        "openapi": "3.1.0",
        "info": {"title": "RAG platform", "version": version(), "description": ABOUT},
        "servers": [{"url": "/", "description": "The edge that serves this document."}],
        "tags": [{"name": s.name, "description": said[s.full_name]} for s in found],
        "paths": paths,
        "components": {
            "schemas": dict(sorted({**failure_schemas(), **schemas.components}.items())),
            "responses": failure_responses(),
            "securitySchemes": security(),
        },
    }


def services() -> list[ServiceDescriptor]:
    """The gateway's services, in the order of their names."""
    found = pkgutil.iter_modules(public.__path__, f"{public.__name__}.")
    names = sorted(module.name for module in found if module.name.endswith("_pb2"))
    files = [importlib.import_module(name).DESCRIPTOR for name in names]
    return [service for file in files for service in file.services_by_name.values()]


def given_in_replies(methods: list[MethodDescriptor]) -> set[str]:
    """Fields that replies always have, of messages that come in no request."""
    asked = set().union(*(reachable(method.input_type) for method in methods))
    given = set().union(*(always_given(method.output_type) for method in methods))
    return {field for field in given if field.rpartition(".")[0] not in asked}


def version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return str(project["project"]["version"])


def security() -> Schema:
    return {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A token of an issuer that the platform trusts, or of IssueToken.",
        },
        "apiKey": {
            "type": "http",
            "scheme": "bearer",
            "description": "A key of CreateApiKey, sent as a token is.",
        },
    }


if __name__ == "__main__":
    sys.exit(main())
