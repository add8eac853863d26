"""Admits calls: authorizes their collections, reserves their quota, runs them once per request id."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message

from rag_common.context import CALL, Call, Principal
from rag_common.observability import tracing
from rag_contract import errors
from rag_gateway.auth.audit import Audit, AuditedAction, Event
from rag_gateway.auth.policy import collections_for
from rag_gateway.idempotency.service import (
    Codec,
    Idempotency,
    Key,
    different_request,
    fingerprint,
)
from rag_gateway.quotas.service import Cost, Quotas, Usage

Response = TypeVar("Response", bound=Message)


@dataclass(slots=True)
class Permit:
    """An admitted call: who makes it, the collections it may use, and what it is charged.

    `collections` is None for all of the tenant's. `usage` takes the tokens really used.
    """

    call: Call
    principal: Principal
    collections: tuple[str, ...] | None
    usage: Usage
    deferred_tokens: int = 0

    @property
    def tenant(self) -> str:
        """The tenant that the call is for."""
        return self.principal.tenant


class RequestGuard:
    """Admits the calls of one service, whose full name is `service`.

    The caller is authenticated, and its scope checked against the method, before the request is read
    (rag_gateway.auth.authenticator). `degraded_parts` names the parts that are unavailable now.
    """

    def __init__(
        self,
        service: str,
        audit: Audit,
        quotas: Quotas,
        idempotency: Idempotency,
        degraded_parts: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self.degraded_parts = degraded_parts
        self._prefix = f"/{service}/"
        self._audit = audit
        self._quotas = quotas
        self._idempotency = idempotency

    @staticmethod
    def name_call(given_id: str) -> None:
        """Name the call by the id in an upload's header; the interceptor does so for other requests."""
        call, _ = _caller()
        call.take_id(given_id)

    async def admit(
        self,
        method: str,
        *,
        collections: Sequence[str] | None = None,
        cost: Cost = Cost(),  # noqa: B008 - it is frozen
        retryable: bool = False,
    ) -> Permit:
        """Authorize the call and reserve what it costs until it ends, in one step of the quota store.

        `collections` are those requested, none of them meaning all that the credential opens; None if
        the method has none. A `retryable` call reserves its tokens in `idempotent`, once it is known
        not to be a retry. Raises CollectionForbidden, ResourceExhausted.
        """
        call, principal = _caller()
        authorized = None
        if collections is not None:
            try:
                authorized = collections_for(principal, collections)
            except errors.PermissionDenied as error:
                target = ", ".join(collections)
                self._audit.authorisation_refused(error, self._prefix + method, principal, target)
                raise
        deferred_tokens = cost.tokens if retryable else 0
        now = Cost(cost.requests, cost.tokens - deferred_tokens, cost.stream)
        with tracing.span("limits"):
            usage = await self._reserved(call, principal, now)
        return Permit(call, principal, authorized, usage, deferred_tokens)

    async def _reserved(self, call: Call, principal: Principal, cost: Cost) -> Usage:
        if cost.tokens or cost.stream:
            return await call.resources.reserve(self._quotas.reserve(principal, cost))
        await call.resources.charge(self._quotas.charge(principal, cost.requests))
        return Usage()

    def audited(
        self, event: Event, method: str, target: str = ""
    ) -> AbstractContextManager[AuditedAction]:
        """Record in the audit log that this was done, or why not."""
        return self._audit.audited(event, self._prefix + method, target)

    async def idempotent(
        self,
        method: str,
        permit: Permit,
        request: Message,
        work: Callable[[], Awaitable[Response]],
        response_type: type[Response] | None,
        upload_digest: Callable[[], Awaitable[bytes]] | None = None,
    ) -> Response:
        """Run the work once per `request_id` of the request; a retry gets the stored response.

        None as `response_type` means that the response is a secret: it is not stored, and a retry is
        refused. `upload_digest` returns the SHA-256 of what is uploaded with the request, when all of it
        has arrived: a retry must upload the same. Raises RequestIdReused, TokenBudget.
        """
        given_id: str = request.request_id  # type: ignore[attr-defined]
        if not given_id:
            return await work()

        async def charged() -> tuple[Response, bytes]:
            if permit.deferred_tokens:
                rest = Cost(0, permit.deferred_tokens)
                permit.usage = await permit.call.resources.reserve(
                    self._quotas.reserve(permit.principal, rest)
                )
            response = await work()
            return response, await upload_digest() if upload_digest else b""

        bare = type(request)()
        bare.CopyFrom(request)
        bare.ClearField("request_id")
        body = bare.SerializeToString(deterministic=True)
        key = Key(permit.tenant, self._prefix + method, given_id)
        response, uploaded = await self._idempotency.run(
            key,
            fingerprint(permit.principal, body),
            charged,
            _codec(response_type, 32 if upload_digest else 0) if response_type else None,
        )
        if upload_digest and await upload_digest() != uploaded:
            raise different_request()
        return response


def only_collection(permit: Permit, requested: str) -> str:
    """The one collection of the call: the requested one, else the only one that is open; empty for all.

    Raises FieldInvalid if several are open and not all.
    """
    opened = permit.collections
    if not requested and opened is not None and len(opened) > 1:
        raise errors.FieldInvalid.of(
            "collection", "is required: this credential cannot access all collections"
        )
    return requested or (opened[0] if opened else "")


def _caller() -> tuple[Call, Principal]:
    call = CALL.get()
    if call is None or call.principal is None:
        raise errors.TokenMissing("the call is not authenticated")
    return call, call.principal


def _codec(response_type: type[Response], digest_bytes: int) -> Codec[tuple[Response, bytes]]:
    """Stores a response after the digest of what was uploaded for it, which has so many bytes."""

    def dump(done: tuple[Response, bytes]) -> bytes:
        response, digest = done
        return digest + response.SerializeToString()

    def load(stored: bytes) -> tuple[Response, bytes]:
        return response_type.FromString(stored[digest_bytes:]), stored[:digest_bytes]

    return Codec(dump, load)
