"""Who may call what: each public method and the scope that it needs. What is not here is denied."""

from rag_common import errors
from rag_common.context import Principal

SCOPES = ("search", "answer", "ingest", "admin")

_ANSWERS = "/rag.gateway.v1.AnswerService/"
_DOCUMENTS = "/rag.gateway.v1.DocumentService/"

# None: any valid token will do.
REQUIRED: dict[str, str | None] = {
    _ANSWERS + "Answer": "answer",
    _ANSWERS + "StreamAnswer": "answer",
    _ANSWERS + "Search": "search",
    _ANSWERS + "CheckGrounding": "answer",
    _ANSWERS + "GetCapabilities": None,
    _DOCUMENTS + "IngestDocument": "ingest",
    _DOCUMENTS + "UploadDocument": "ingest",
    _DOCUMENTS + "GetDocument": "search",
    _DOCUMENTS + "ListDocuments": "search",
    _DOCUMENTS + "ListPassages": "search",
    _DOCUMENTS + "DeleteDocument": "ingest",
}


def authorize(method: str, principal: Principal) -> None:
    """Return where the principal may call the method; `admin` may call all. Raises PermissionDenied."""
    if method not in REQUIRED:
        raise errors.PermissionDenied("this method is not open to anyone")
    scope = REQUIRED[method]
    if scope and scope not in principal.scopes and "admin" not in principal.scopes:
        raise errors.PermissionDenied(
            f"this needs the scope {scope}", metadata={"required_scope": scope}
        )
