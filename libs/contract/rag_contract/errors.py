"""The errors of a call as one tree of exceptions, independent of the transport.

A family (InvalidArgument, NotFound, Unavailable …) is abstract: it groups kinds for `except` and has no
reason of its own. Only a kind with a `reason` can be raised.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One invalid field of a request: its path, and a description of what is wrong or required.

    `reason` is the constant a program branches on, empty for the error's own; `korean` is the
    translation of `description`, empty if there is none.
    """

    field: str
    description: str
    reason: str = ""
    korean: str = ""


class AppError(Exception):
    """An error that is reported to the caller.

    `reason` is the constant a program branches on, `message` the sentence for people, `metadata`
    further values. `retry_after` is in seconds, None if a retry cannot help. Creating an instance of a
    family, which has no reason, raises TypeError.
    """

    reason: ClassVar[str]

    def __init__(
        self,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        violations: Sequence[FieldViolation] = (),
    ) -> None:
        if not hasattr(type(self), "reason"):
            raise TypeError(f"{type(self).__name__} is a family of errors; raise one of its kinds")
        super().__init__(message)
        self.message = message
        self.metadata = dict(metadata or {})
        self.retry_after = retry_after
        self.violations = tuple(violations)

    @property
    def trace_id(self) -> str:
        """The failed call's trace id; empty in the process that raised the error."""
        return self.metadata.get("trace_id", "")

    @property
    def request_id(self) -> str:
        """The failed call's id in logs; empty in the process that raised the error."""
        return self.metadata.get("request_id", "")


class InvalidArgument(AppError):
    """The request is invalid, whatever the state of the system; a retry cannot help."""


class FieldInvalid(InvalidArgument):
    """A field of the request has an invalid value; a retry cannot help."""

    reason = "FIELD_INVALID"

    @classmethod
    def of(cls, field: str, description: str) -> Self:
        """The error for one field; `description` says what is wrong or required."""
        return cls.among([FieldViolation(field, description)])

    @classmethod
    def among(cls, violations: Sequence[FieldViolation]) -> Self:
        """The error for one or more violations; the message contains the first."""
        first, rest = violations[0], len(violations) - 1
        more = f" (and {rest} more)" if rest else ""
        return cls(f"{first.field}: {first.description}{more}", violations=violations)


class FilterInvalid(FieldInvalid):
    """A metadata filter has an invalid key, type or range."""

    reason = "FILTER_INVALID"


class InputTooLong(FieldInvalid):
    """A text has more tokens, characters or bytes than the limit, and truncation was not requested."""

    reason = "INPUT_TOO_LONG"


class MessageMalformed(InvalidArgument):
    """A message of the call cannot be decoded."""

    reason = "MESSAGE_MALFORMED"


class Unauthenticated(AppError):
    """The caller is not authenticated."""


class TokenInvalid(Unauthenticated):
    """The token or API key is invalid."""

    reason = "TOKEN_INVALID"


class TokenMissing(Unauthenticated):
    """No bearer token came with the call."""

    reason = "TOKEN_MISSING"


class TokenExpired(Unauthenticated):
    """The token has expired."""

    reason = "TOKEN_EXPIRED"


class KeyRevoked(Unauthenticated):
    """The API key or token has been revoked."""

    reason = "KEY_REVOKED"


class PermissionDenied(AppError):
    """The caller is authenticated but not authorized."""


class ScopeMissing(PermissionDenied):
    """The credential lacks the scope that `metadata["required_scope"]` names."""

    reason = "SCOPE_MISSING"


class MethodForbidden(PermissionDenied):
    """The access policy allows no one to call this method."""

    reason = "METHOD_FORBIDDEN"


class CollectionForbidden(PermissionDenied):
    """The caller may not use this collection, whether or not it exists."""

    reason = "COLLECTION_FORBIDDEN"


class CallerForbidden(PermissionDenied):
    """The calling service may not call this method."""

    reason = "CALLER_FORBIDDEN"


class NotFound(AppError):
    """The resource does not exist, or the caller may not see it."""


class DocumentNotFound(NotFound):
    """The collection has no document with that id, or the caller may not see it."""

    reason = "DOCUMENT_NOT_FOUND"


class CollectionNotFound(NotFound):
    """The tenant has no collection of that name."""

    reason = "COLLECTION_NOT_FOUND"


class KeyNotFound(NotFound):
    """The tenant has no API key of that id."""

    reason = "KEY_NOT_FOUND"


class IndexNotFound(NotFound):
    """There is no index of that name."""

    reason = "INDEX_NOT_FOUND"


class ModelNotFound(NotFound):
    """No model of that name is served."""

    reason = "MODEL_NOT_FOUND"


class ResourceExhausted(AppError):
    """A limit was reached."""


class ConcurrencyLimit(ResourceExhausted):
    """Too many concurrent calls, of this caller or in total."""

    reason = "CONCURRENCY_LIMIT"


class QueueFull(ResourceExhausted):
    """The queue of a model or of searches is full: more work could not be finished in time."""

    reason = "QUEUE_FULL"


class RateLimited(ResourceExhausted):
    """The tenant or the credential has reached its limit of calls for the moment."""

    reason = "RATE_LIMITED"


class TokenBudget(ResourceExhausted):
    """The tenant or the credential has reached its limit of the model's tokens for the moment."""

    reason = "TOKEN_BUDGET"


class ApiKeyLimit(ResourceExhausted):
    """The tenant has reached its limit of API keys; revoke one, or wait until one has expired."""

    reason = "KEY_LIMIT"


class RevokedTokenLimit(ResourceExhausted):
    """The tenant has reached its limit of revoked tokens; the earliest has to expire first."""

    reason = "REVOKED_TOKEN_LIMIT"


class MessageTooLarge(ResourceExhausted):
    """A message or an upload is over its size limit; a retry cannot help."""

    reason = "MESSAGE_TOO_LARGE"


class Unavailable(AppError):
    """A dependency of this call is unavailable."""


class DependencyDown(Unavailable):
    """A service that this call needs does not answer."""

    reason = "DEPENDENCY_DOWN"


class DependencyRefused(Unavailable):
    """A service that this call needs refuses the platform's request or credentials; an operator has to act."""

    reason = "DEPENDENCY_REFUSED"


class ConnectionInsecure(Unavailable):
    """No TLS connection was established: a certificate is missing, expired, or not trusted."""

    reason = "CONNECTION_INSECURE"


class IndexUnusable(Unavailable):
    """The folder of the index is locked by another process or cannot be read; an operator has to act."""

    reason = "INDEX_UNUSABLE"


class Draining(Unavailable):
    """The service is shutting down; another replica will answer."""

    reason = "DRAINING"


class Overloaded(Unavailable):
    """The service is overloaded."""

    reason = "OVERLOADED"


class ModelLoading(Unavailable):
    """The model is not loaded yet."""

    reason = "MODEL_LOADING"


class FailedPrecondition(AppError):
    """The system is not in the state that this call requires."""


class IndexIsDefault(FailedPrecondition):
    """The index is the one that `default` refers to; point `default` to another one first."""

    reason = "INDEX_IS_DEFAULT"


class EmbeddingMismatch(FailedPrecondition):
    """The vectors come from another model than the index's, or from another configuration of it."""

    reason = "EMBEDDING_MISMATCH"


class ReindexRunning(FailedPrecondition):
    """The index is being rebuilt; wait until it is done."""

    reason = "REINDEX_RUNNING"


class ModelRefused(FailedPrecondition):
    """The language model's server refuses the request; a retry cannot help."""

    reason = "MODEL_REFUSED"


class NotConfigured(FailedPrecondition):
    """The feature is not configured in this deployment, for example reranking by a cross-encoder."""

    reason = "NOT_CONFIGURED"


class Aborted(AppError):
    """Another call changed the same resource meanwhile."""


class DocumentConflict(Aborted):
    """Another call replaced or removed the same document meanwhile; this call changed nothing."""

    reason = "DOCUMENT_CONFLICT"


class RequestIdReused(Aborted):
    """A request_id came a second time with another request, or while the first is still running."""

    reason = "REQUEST_ID_REUSED"


class DeadlineExceeded(AppError):
    """The deadline of the call has passed; `metadata["stage"]` says where."""

    reason = "BUDGET_EXHAUSTED"


class Cancelled(AppError):
    """The caller cancelled the call or disconnected."""

    reason = "CANCELLED"


class Unimplemented(AppError):
    """The method does not exist in this version of the service."""

    reason = "METHOD_UNKNOWN"


class Internal(AppError):
    """An internal error. The message never contains the text of the underlying exception."""

    reason = "INTERNAL"
