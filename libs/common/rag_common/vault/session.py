"""A Vault session: the token is renewed before it expires, and replaced by a new login after it has."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import structlog

from rag_common.settings import SettingsInvalid
from rag_common.vault.connection import Client, Connection
from rag_common.vault.failures import Denied, Refused, Unreachable
from rag_common.vault.login import Lease, Login, granted
from rag_common.vault.renewal import Backoff, renewal_delay, sleep_until
from rag_common.vault.settings import VaultOptions

log = structlog.get_logger()
T = TypeVar("T")

# A renewal that grants less than this share of the first lifetime is near the token's max TTL.
_MIN_RENEWAL_SHARE = 0.5
_MIN_SECONDS = 0.2
_REVOKE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class VaultState:
    """Whether Vault works, since when, and which parts fail.

    `since` is in seconds of Unix time. `error` is the class name of the first error, empty if there
    is none; `errors` has all, by part. `lease_seconds` are left until the token expires: infinite if
    it never does, 0 if it has.
    """

    ok: bool
    since: float
    error: str
    errors: dict[str, str]
    lease_seconds: float


class VaultStatus:
    """Collects the current errors by part, such as `login` or `certificate`."""

    def __init__(self) -> None:
        self._errors: dict[str, str] = {}
        self._since = time.time()

    def report(self, part: str, error: Exception | None) -> None:
        """Record the result of the part's last attempt; None is success."""
        name = type(error).__name__ if error else None
        if name == self._errors.get(part):
            return
        was_ok = not self._errors
        if name:
            self._errors[part] = name
            log.warning("vault_degraded", part=part, error=name)
        else:
            del self._errors[part]
            log.info("vault_restored", part=part)
        if was_ok or not self._errors:
            self._since = time.time()

    def state(self, lease_seconds: float) -> VaultState:
        """A snapshot, for a token with that many seconds left."""
        errors = dict(self._errors)
        first = next(iter(errors.values()), "")
        return VaultState(not errors, self._since, first, errors, lease_seconds)


class Session:
    """Sends requests to Vault as this service."""

    def __init__(self, options: VaultOptions, connection: Connection, status: VaultStatus) -> None:
        self._options = options
        self._connection = connection
        self._status = status
        self._login = Login(options, connection)
        self._lease: Lease | None = None
        self._renew_at = float("inf")
        self._first_seconds = 0.0
        self._logging_in = asyncio.Lock()
        self._login_backoff = Backoff()
        self._renewal_backoff = Backoff()

    @property
    def state(self) -> VaultState:
        """The current status."""
        left = self._lease.until - time.time() if self._lease else 0.0
        return self._status.state(max(left, 0.0))

    async def open(self) -> None:
        """Log in for the first time. Raises what `Login.log_in` does."""
        lease = await self._login.log_in()
        self._use(lease)
        self._first_seconds = lease.seconds
        log.info("vault_login", role=self._options.role, method=self._options.method)

    async def call(self, operation: str, use: Callable[[Client], T]) -> T:
        """Return the result of `use` with a client that is logged in; `operation` names it in metrics.

        If the token has expired, logs in and tries once more. Raises Unreachable, Sealed, Refused,
        Denied if the policy does not allow it, Missing.
        """
        lease = self._current()
        try:
            return await self._call(operation, use, lease)
        except Denied:
            if await self._alive(lease):
                raise
            await self._replace(lease)
            return await self._call(operation, use, self._current())

    async def keep_alive(self) -> None:
        """Renew the token whenever two thirds of its lifetime have passed, until cancelled."""
        while True:
            await sleep_until(lambda: self._renew_at)
            lease = self._current()
            try:
                await self._extend(lease)
            except (Unreachable, SettingsInvalid):
                self._renew_at = time.time() + self._renewal_backoff.failed()

    async def close(self) -> None:
        """Revoke the token, unless it came from a file."""
        if self._lease and self._options.method != "token":
            with suppress(Unreachable, SettingsInvalid, TimeoutError):
                async with asyncio.timeout(_REVOKE_SECONDS):
                    await self._connection.call(
                        "revoke",
                        lambda client: client.auth.token.revoke_self(),
                        self._lease.token,
                    )
        self._lease = None

    def _current(self) -> Lease:
        if self._lease is None:
            raise Unreachable("there is no session with Vault")
        return self._lease

    async def _call(self, operation: str, use: Callable[[Client], T], lease: Lease) -> T:
        try:
            reply = await self._connection.call(operation, use, lease.token)
        except Unreachable as error:
            self._status.report("connection", error)
            raise
        except SettingsInvalid:
            self._status.report("connection", None)
            raise
        self._status.report("connection", None)
        return reply

    async def _alive(self, lease: Lease) -> bool:
        """Whether the token is still valid: a 403 may also mean that its policy denies the request."""
        try:
            await self._call("lookup", lambda client: client.auth.token.lookup_self(), lease)
        except Denied:
            return False
        return True

    async def _extend(self, lease: Lease) -> None:
        if not lease.renewable:
            await self._replace(lease)
            return
        try:
            renewed = await self._call(
                "renew", lambda client: granted(client.auth.token.renew_self()), lease
            )
        except Refused:
            await self._replace(lease)
            return
        if (
            renewed.seconds < self._first_seconds * _MIN_RENEWAL_SHARE
            and self._options.method != "token"
        ):
            await self._replace(lease)
            return
        self._use(renewed)
        log.debug("vault_token_renewed", seconds=renewed.seconds)

    async def _replace(self, lease: Lease) -> None:
        """Get a new lease, unless another task has got one meanwhile. Raises Unreachable in a backoff."""
        async with self._logging_in:
            if self._lease is not lease:
                return
            if self._login_backoff.waiting:
                raise Unreachable("the last login failed a moment ago")
            try:
                self._use(await self._login.log_in())
            except (Unreachable, SettingsInvalid) as error:
                self._login_backoff.failed()
                self._status.report("login", error)
                raise
            log.info("vault_login", role=self._options.role, method=self._options.method)

    def _use(self, lease: Lease) -> None:
        self._lease = lease
        self._renew_at = time.time() + max(renewal_delay(lease.seconds), _MIN_SECONDS)
        self._login_backoff.succeeded()
        self._renewal_backoff.succeeded()
        self._status.report("login", None)
