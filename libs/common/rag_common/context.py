"""What travels with a call through every function below it: ids, deadline, language, principal."""

import re
import secrets
import time
from contextvars import ContextVar
from dataclasses import dataclass, field

_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
# The header that tells services behind the gateway who the payer is.
PAYER = "x-rag-payer"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


@dataclass(frozen=True, slots=True)
class Trace:
    """A position in a W3C trace; `sampled` is passed on as it came."""

    trace_id: str
    span_id: str
    sampled: bool = True

    @property
    def traceparent(self) -> str:
        """The W3C header that makes a callee's spans children of this position."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    @classmethod
    def parse(cls, header: str | None) -> "Trace | None":
        """The position named by a `traceparent` header; None where it is absent or unfit."""
        match = _TRACEPARENT.fullmatch(header or "")
        if not match:
            return None
        version, trace_id, span_id, flags, more = match.groups()
        # A later version may say more; the parts that we know come first in it too.
        if (version == "00" and more) or not int(trace_id, 16) or not int(span_id, 16):
            return None
        return cls(trace_id, span_id, bool(int(flags, 16) & 1))

    @classmethod
    def new(cls) -> "Trace":
        """The root of a trace of its own."""
        return cls(secrets.token_hex(16), secrets.token_hex(8))


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling, as the verified credential says.

    `scopes` holds those given directly and those of the roles. `collections` is None where all are
    open. `credential` is the id of the API key or token (`jti`), empty for a token without one.
    `tier` names the tenant's set of limits, empty for the default one.
    """

    subject: str
    tenant: str
    scopes: frozenset[str]
    roles: frozenset[str] = frozenset()
    collections: frozenset[str] | None = None
    credential: str = ""
    tier: str = ""

    def __post_init__(self) -> None:
        """An empty tenant would be everybody's: it cannot be."""
        if not self.tenant:
            raise ValueError("a principal has a tenant")


@dataclass(frozen=True, slots=True)
class Call:
    """One call being served. `deadline` is a moment of time.monotonic(), in seconds.

    `payer` is the tenant whose fair share of the service the call counts against. Behind the
    gateway it is what the caller says, so nothing but fairness may hang on it.
    """

    request_id: str
    trace: Trace
    deadline: float
    language: str = ""
    principal: Principal | None = None
    payer: str = ""
    started: float = field(default_factory=time.monotonic)

    @property
    def remaining(self) -> float:
        """Seconds left, negative when the time is used up."""
        return self.deadline - time.monotonic()


CALL: ContextVar[Call | None] = ContextVar("call", default=None)


def request_id(given: str | None) -> str:
    """The caller's id where it is 1-64 plain characters, else a new one."""
    return given if given and _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
