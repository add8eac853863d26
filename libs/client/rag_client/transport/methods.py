"""The gateway's methods: path, message types, and whether a call may be retried."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message

from rag.gateway.v1 import access_service_pb2 as access
from rag.gateway.v1 import answer_service_pb2 as answers
from rag.gateway.v1 import document_service_pb2 as documents

RequestT = TypeVar("RequestT", bound=Message)
ReplyT = TypeVar("ReplyT", bound=Message)


@dataclass(frozen=True, slots=True)
class Procedure(Generic[RequestT, ReplyT]):
    """One method; `read` is True if the contract marks it as free of side effects."""

    path: str
    read: bool
    request: type[RequestT]
    reply: type[ReplyT]

    def bind(self, kind: Callable[..., Any]) -> Any:
        """The method on a channel; `kind` is one of the channel's methods, such as `unary_unary`."""
        return kind(self.path, self.request.SerializeToString, self.reply.FromString)


def _procedure(request: type[RequestT], reply: type[ReplyT]) -> Procedure[RequestT, ReplyT]:
    """The method whose request has its name; each file of the contract has one service."""
    name = request.DESCRIPTOR.name.removesuffix("Request")
    [service] = request.DESCRIPTOR.file.services_by_name.values()
    level = service.methods_by_name[name].GetOptions().idempotency_level
    reads = level == MethodOptions.NO_SIDE_EFFECTS
    return Procedure(f"/{service.full_name}/{name}", reads, request, reply)


ANSWER = _procedure(answers.AnswerRequest, answers.AnswerResponse)
STREAM_ANSWER = _procedure(answers.StreamAnswerRequest, answers.StreamAnswerResponse)
SEARCH = _procedure(answers.SearchRequest, answers.SearchResponse)
CHECK_GROUNDING = _procedure(answers.CheckGroundingRequest, answers.CheckGroundingResponse)
GET_CAPABILITIES = _procedure(answers.GetCapabilitiesRequest, answers.GetCapabilitiesResponse)
INGEST_DOCUMENT = _procedure(documents.IngestDocumentRequest, documents.IngestDocumentResponse)
UPLOAD_DOCUMENT = _procedure(documents.UploadDocumentRequest, documents.UploadDocumentResponse)
GET_DOCUMENT = _procedure(documents.GetDocumentRequest, documents.GetDocumentResponse)
LIST_DOCUMENTS = _procedure(documents.ListDocumentsRequest, documents.ListDocumentsResponse)
LIST_PASSAGES = _procedure(documents.ListPassagesRequest, documents.ListPassagesResponse)
DELETE_DOCUMENT = _procedure(documents.DeleteDocumentRequest, documents.DeleteDocumentResponse)
GET_IDENTITY = _procedure(access.GetIdentityRequest, access.GetIdentityResponse)
GET_QUOTA = _procedure(access.GetQuotaRequest, access.GetQuotaResponse)
CREATE_API_KEY = _procedure(access.CreateApiKeyRequest, access.CreateApiKeyResponse)
LIST_API_KEYS = _procedure(access.ListApiKeysRequest, access.ListApiKeysResponse)
REVOKE_API_KEY = _procedure(access.RevokeApiKeyRequest, access.RevokeApiKeyResponse)
ISSUE_TOKEN = _procedure(access.IssueTokenRequest, access.IssueTokenResponse)
REVOKE_TOKEN = _procedure(access.RevokeTokenRequest, access.RevokeTokenResponse)
