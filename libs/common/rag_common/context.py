"""The context of the current call: ids, deadline, language, principal."""

import random
import re
import time
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

# The header that names the tenant to the services behind the gateway.
TENANT_HEADER = "x-rag-tenant"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller, from its verified credential.

    `scopes` holds those granted directly and those of the roles. `collections` limits access to these;
    None is all. `credential` is the id of the API key or token (`jti`), empty for a token without one.
    `tier` names the tenant's set of rate limits, empty for the default one.
    """

    subject: str
    tenant: str
    scopes: frozenset[str]
    roles: frozenset[str] = frozenset()
    collections: frozenset[str] | None = None
    credential: str = ""
    tier: str = ""

    def __post_init__(self) -> None:
        """Reject an empty tenant, which could match everyone's data. Raises ValueError."""
        if not self.tenant:
            raise ValueError("a principal must have a tenant")


_R = TypeVar("_R")


class CallResources(AsyncExitStack):
    """What a call holds until it ends, such as a reservation of its quota.

    `reserved` is whether its handler has asked for anything yet, with or without success.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reserved = False

    async def charge(self, charging: Awaitable[None]) -> None:
        """Await a charge of which nothing is returned when the call ends."""
        self.reserved = True
        await charging

    async def reserve(self, resource: AbstractAsyncContextManager[_R]) -> _R:
        """Enter the context until the call ends. Raises what entering raises."""
        self.reserved = True
        return await self.enter_async_context(resource)


@dataclass(slots=True)
class Call:
    """One call being served. `deadline` is a moment of time.monotonic(), in seconds.

    `trace_id` is that of its W3C trace, 32 hexadecimal digits, whether spans are recorded or not.
    `request_id` is that of the request message, or else the header's. `principal` is
    set once the caller is authenticated.

    `tenant` is the one whose fair share of the service the call counts against. Behind the
    gateway it is what the caller says, so nothing but fairness may hang on it. `hurried` is whether
    the caller's deadline is shorter than a healthy service needs (setting `SHORT_DEADLINE`).
    """

    request_id: str
    trace_id: str
    deadline: float
    language: str = ""
    principal: Principal | None = None
    tenant: str = ""
    hurried: bool = False
    started: float = field(default_factory=time.monotonic)
    resources: CallResources = field(default_factory=CallResources, compare=False, repr=False)

    def take_id(self, given: str) -> None:
        """Let the `request_id` of a message name the call; an empty one changes nothing."""
        if given:
            self.request_id = request_id(given)

    @property
    def remaining(self) -> float:
        """Seconds until the deadline, negative after it."""
        return self.deadline - time.monotonic()


CALL: ContextVar[Call | None] = ContextVar("call", default=None)


def request_id(header: str | None) -> str:
    """The caller's id if it has 1-64 letters, digits or `._:-`, else a new random one."""
    return header if header and _REQUEST_ID.fullmatch(header) else random_id()


def random_id() -> str:
    """16 random hexadecimal digits. Not a secret: they can be guessed from others.

    Not from os.urandom: it releases the interpreter lock, and getting that back takes longer than the call.
    """
    return f"{random.getrandbits(64):016x}"
