"""Every way a call can fail, as one tree of exceptions that knows no transport."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One thing wrong with a request: the path of the field and what would be right.

    `reason` is the constant a program branches on, empty for the error's own; `korean` says the
    same as `description`, and is empty where nobody has put it into Korean.
    """

    field: str
    description: str
    reason: str = ""
    korean: str = ""


class AppError(Exception):
    """A failure that the caller is told about.

    `reason` is the constant a program branches on, `message` the sentence a person reads, `metadata`
    the facts that go with them. `retry_after` is in seconds, and None where a retry cannot help.
    """

    reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        violations: Sequence[FieldViolation] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = dict(metadata or {})
        self.retry_after = retry_after
        self.violations = tuple(violations)

    @property
    def trace_id(self) -> str:
        """The trace that the failed call belongs to; empty on the side where it was raised."""
        return self.metadata.get("trace_id", "")

    @property
    def request_id(self) -> str:
        """The failed call's id in logs; empty on the side where it was raised."""
        return self.metadata.get("request_id", "")


class InvalidArgument(AppError):
    """The request is wrong, whatever the state of the system; sending it again cannot help."""

    reason = "FIELD_INVALID"

    @classmethod
    def of(cls, field: str, description: str) -> Self:
        """The common case: one field is wrong, and `description` says what would be right."""
        return cls.among([FieldViolation(field, description)])

    @classmethod
    def among(cls, violations: Sequence[FieldViolation]) -> Self:
        """Everything that is wrong at once, one thing at least; the message says the first."""
        first, rest = violations[0], len(violations) - 1
        more = f" (and {rest} more)" if rest else ""
        return cls(f"{first.field}: {first.description}{more}", violations=violations)


class FilterInvalid(InvalidArgument):
    """A metadata filter names a key, a type or a range that cannot be."""

    reason = "FILTER_INVALID"


class InputTooLong(InvalidArgument):
    """A text has more tokens, characters or bytes than the limit, and cutting it was not asked for."""

    reason = "INPUT_TOO_LONG"


class Unauthenticated(AppError):
    """The caller has not shown who it is."""

    reason = "TOKEN_INVALID"


class TokenMissing(Unauthenticated):
    """No bearer token came with the call."""

    reason = "TOKEN_MISSING"


class TokenExpired(Unauthenticated):
    """The token was good once."""

    reason = "TOKEN_EXPIRED"


class KeyRevoked(Unauthenticated):
    """The API key or token was good once and has been revoked."""

    reason = "KEY_REVOKED"


class PermissionDenied(AppError):
    """The caller is known and may not do this."""

    reason = "SCOPE_MISSING"


class CollectionForbidden(PermissionDenied):
    """The caller may not use this collection, whether or not there is one of that name."""

    reason = "COLLECTION_FORBIDDEN"


class TenantMismatch(PermissionDenied):
    """The call names a tenant that its credential does not belong to."""

    reason = "TENANT_MISMATCH"


class CallerForbidden(PermissionDenied):
    """The service at the other end of the connection may not call this method."""

    reason = "CALLER_FORBIDDEN"


class NotFound(AppError):
    """The named resource does not exist, or is not the caller's to see."""

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
    """A bound was reached: too many calls at once."""

    reason = "CONCURRENCY_LIMIT"


class RateLimited(ResourceExhausted):
    """The tenant or the credential has used up its calls for now."""

    reason = "RATE_LIMITED"


class TokenBudget(ResourceExhausted):
    """The tenant or the credential has used up the model's tokens for now."""

    reason = "TOKEN_BUDGET"


class MessageTooLarge(ResourceExhausted):
    """A message or an upload is over its size limit; a retry cannot help."""

    reason = "MESSAGE_TOO_LARGE"


class Unavailable(AppError):
    """A service that this call needs does not answer."""

    reason = "DEPENDENCY_DOWN"


class Draining(Unavailable):
    """The service is shutting down; another replica will answer."""

    reason = "DRAINING"


class Overloaded(Unavailable):
    """The service has more work than it can do in time."""

    reason = "OVERLOADED"


class ModelLoading(Unavailable):
    """The model is not in memory yet."""

    reason = "MODEL_LOADING"


class FailedPrecondition(AppError):
    """The system is not in a state in which this call can be done."""

    reason = "INDEX_NOT_READY"


class EmbeddingMismatch(FailedPrecondition):
    """The vectors come from another model, or the same prepared otherwise, than the index's."""

    reason = "EMBEDDING_MISMATCH"


class ReindexRunning(FailedPrecondition):
    """The index is being rebuilt; wait until it is done."""

    reason = "REINDEX_RUNNING"


class NotConfigured(FailedPrecondition):
    """The deployment has no such part, for example no cross-encoder to rerank with."""

    reason = "NOT_CONFIGURED"


class Aborted(AppError):
    """Another call changed the same thing meanwhile."""

    reason = "ETAG_MISMATCH"


class RequestIdReused(Aborted):
    """A request_id came a second time with another request, or while the first is still running."""

    reason = "REQUEST_ID_REUSED"


class DeadlineExceeded(AppError):
    """The time that the caller gave is used up; `metadata["stage"]` says where."""

    reason = "BUDGET_EXHAUSTED"


class Cancelled(AppError):
    """The caller went away."""

    reason = "CANCELLED"


class Unimplemented(AppError):
    """There is no such method, or this version of the service does not have it yet."""

    reason = "METHOD_UNKNOWN"


class Internal(AppError):
    """A defect of ours. The message never holds the text of the exception behind it."""

    reason = "INTERNAL"
