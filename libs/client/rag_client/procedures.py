"""The gateway's calls: path, message types, and whether one may be sent twice."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message

from rag.gateway.v1 import access_service_pb2 as access
from rag.gateway.v1 import answer_service_pb2 as answers
from rag.gateway.v1 import document_service_pb2 as documents

RequestT = TypeVar("RequestT", bound=Message)
ReplyT = TypeVar("ReplyT", bound=Message)


@dataclass(frozen=True, slots=True)
class Procedure(Generic[RequestT, ReplyT]):
    """One call; a `read` is one that the contract marks as without side effects."""

    path: str
    read: bool
    request: type[RequestT]
    reply: type[ReplyT]


def _procedure(
    service: str, name: str, request: type[RequestT], reply: type[ReplyT]
) -> Procedure[RequestT, ReplyT]:
    method = _SERVICES[service].methods_by_name[name]
    return Procedure(
        f"/{method.containing_service.full_name}/{name}", _reads(method), request, reply
    )


def _reads(method: MethodDescriptor) -> bool:
    level: int = method.GetOptions().idempotency_level
    return level == MethodOptions.NO_SIDE_EFFECTS


_SERVICES = {
    "AccessService": access.DESCRIPTOR.services_by_name["AccessService"],
    "AnswerService": answers.DESCRIPTOR.services_by_name["AnswerService"],
    "DocumentService": documents.DESCRIPTOR.services_by_name["DocumentService"],
}

ANSWER = _procedure("AnswerService", "Answer", answers.AnswerRequest, answers.AnswerResponse)
STREAM_ANSWER = _procedure(
    "AnswerService", "StreamAnswer", answers.StreamAnswerRequest, answers.StreamAnswerResponse
)
SEARCH = _procedure("AnswerService", "Search", answers.SearchRequest, answers.SearchResponse)
CHECK_GROUNDING = _procedure(
    "AnswerService", "CheckGrounding", answers.CheckGroundingRequest, answers.CheckGroundingResponse
)
GET_CAPABILITIES = _procedure(
    "AnswerService",
    "GetCapabilities",
    answers.GetCapabilitiesRequest,
    answers.GetCapabilitiesResponse,
)
INGEST_DOCUMENT = _procedure(
    "DocumentService",
    "IngestDocument",
    documents.IngestDocumentRequest,
    documents.IngestDocumentResponse,
)
UPLOAD_DOCUMENT = _procedure(
    "DocumentService",
    "UploadDocument",
    documents.UploadDocumentRequest,
    documents.UploadDocumentResponse,
)
GET_DOCUMENT = _procedure(
    "DocumentService", "GetDocument", documents.GetDocumentRequest, documents.GetDocumentResponse
)
LIST_DOCUMENTS = _procedure(
    "DocumentService",
    "ListDocuments",
    documents.ListDocumentsRequest,
    documents.ListDocumentsResponse,
)
LIST_PASSAGES = _procedure(
    "DocumentService", "ListPassages", documents.ListPassagesRequest, documents.ListPassagesResponse
)
DELETE_DOCUMENT = _procedure(
    "DocumentService",
    "DeleteDocument",
    documents.DeleteDocumentRequest,
    documents.DeleteDocumentResponse,
)
GET_IDENTITY = _procedure(
    "AccessService", "GetIdentity", access.GetIdentityRequest, access.GetIdentityResponse
)
GET_QUOTA = _procedure("AccessService", "GetQuota", access.GetQuotaRequest, access.GetQuotaResponse)
CREATE_API_KEY = _procedure(
    "AccessService", "CreateApiKey", access.CreateApiKeyRequest, access.CreateApiKeyResponse
)
LIST_API_KEYS = _procedure(
    "AccessService", "ListApiKeys", access.ListApiKeysRequest, access.ListApiKeysResponse
)
REVOKE_API_KEY = _procedure(
    "AccessService", "RevokeApiKey", access.RevokeApiKeyRequest, access.RevokeApiKeyResponse
)
ISSUE_TOKEN = _procedure(
    "AccessService", "IssueToken", access.IssueTokenRequest, access.IssueTokenResponse
)
REVOKE_TOKEN = _procedure(
    "AccessService", "RevokeToken", access.RevokeTokenRequest, access.RevokeTokenResponse
)
