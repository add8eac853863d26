"""A login that lasts: the token is renewed before it ends, and after its end there is a new one."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import structlog

from rag_common.settings import SettingsInvalid
from rag_common.vault.connection import Client, Connection
from rag_common.vault.failures import Denied, Refused, Unreachable
from rag_common.vault.login import Lease, Login, granted
from rag_common.vault.options import VaultOptions
from rag_common.vault.standing import Standing, State
from rag_common.vault.timing import Backoff, reached, renewal

log = structlog.get_logger()

T = TypeVar("T")

# A renewal that gives less than this share of the first grant is at the token's longest life.
_WORN = 0.5
_LEAST_SECONDS = 0.2
_GOODBYE_SECONDS = 2.0


class Session:
    """Asks Vault in this service's name."""

    def __init__(self, options: VaultOptions, connection: Connection, standing: Standing) -> None:
        self._options = options
        self._connection = connection
        self._standing = standing
        self._login = Login(options, connection)
        self._lease: Lease | None = None
        self._renew_at = float("inf")
        self._first_seconds = 0.0
        self._logging_in = asyncio.Lock()
        self._entering = Backoff()
        self._renewing = Backoff()

    @property
    def state(self) -> State:
        """How things stand."""
        left = self._lease.until - time.time() if self._lease else 0.0
        return self._standing.state(max(left, 0.0))

    async def open(self) -> None:
        """Log in for the first time. Raises what `Login.log_in` does."""
        lease = await self._login.log_in()
        self._take(lease)
        self._first_seconds = lease.seconds
        log.info("vault_login", role=self._options.role, method=self._options.method)

    async def ask(self, operation: str, use: Callable[[Client], T]) -> T:
        """What `use` makes of a client that is logged in; `operation` says what that is, for metrics.

        With a token that has ended, logs in and asks once more. Raises Unreachable, Sealed, Refused,
        Denied where the policy does not allow it, Missing.
        """
        lease = self._present()
        try:
            return await self._ask(operation, use, lease)
        except Denied:
            if await self._alive(lease):
                raise
            await self._log_in_instead_of(lease)
            return await self._ask(operation, use, self._present())

    async def keep(self) -> None:
        """Renew the token when two thirds of its time are over, until cancelled."""
        while True:
            await reached(lambda: self._renew_at)
            lease = self._present()
            try:
                await self._extend(lease)
            except (Unreachable, SettingsInvalid):
                self._renew_at = time.time() + self._renewing.failed()

    async def close(self) -> None:
        """Give the token back, where it is this session's own."""
        if self._lease and self._options.method != "token":
            with suppress(Unreachable, SettingsInvalid, TimeoutError):
                async with asyncio.timeout(_GOODBYE_SECONDS):
                    await self._connection.ask(
                        "revoke",
                        lambda client: client.auth.token.revoke_self(),
                        self._lease.token,
                    )
        self._lease = None

    def _present(self) -> Lease:
        if self._lease is None:
            raise Unreachable("there is no session with Vault")
        return self._lease

    async def _ask(self, operation: str, use: Callable[[Client], T], lease: Lease) -> T:
        try:
            reply = await self._connection.ask(operation, use, lease.token)
        except Unreachable as error:
            self._standing.report("connection", error)
            raise
        except SettingsInvalid:
            self._standing.report("connection", None)
            raise
        self._standing.report("connection", None)
        return reply

    async def _alive(self, lease: Lease) -> bool:
        """Whether Vault still knows the token: a 403 alone does not tell an old one from a weak one."""
        try:
            await self._ask("lookup", lambda client: client.auth.token.lookup_self(), lease)
        except Denied:
            return False
        return True

    async def _extend(self, lease: Lease) -> None:
        if not lease.renewable:
            await self._log_in_instead_of(lease)
            return
        try:
            renewed = await self._ask(
                "renew", lambda client: granted(client.auth.token.renew_self()), lease
            )
        except Refused:
            await self._log_in_instead_of(lease)
            return
        if renewed.seconds < self._first_seconds * _WORN and self._options.method != "token":
            await self._log_in_instead_of(lease)
            return
        self._take(renewed)
        log.debug("vault_token_renewed", seconds=renewed.seconds)

    async def _log_in_instead_of(self, lease: Lease) -> None:
        """A new lease, unless another task has got one meanwhile, or the last attempt was just now."""
        async with self._logging_in:
            if self._lease is not lease:
                return
            if self._entering.waiting:
                raise Unreachable("the login was tried a moment ago")
            try:
                self._take(await self._login.log_in())
            except (Unreachable, SettingsInvalid) as error:
                self._entering.failed()
                self._standing.report("login", error)
                raise
            log.info("vault_login", role=self._options.role, method=self._options.method)

    def _take(self, lease: Lease) -> None:
        self._lease = lease
        self._renew_at = time.time() + max(renewal(lease.seconds), _LEAST_SECONDS)
        self._entering.succeeded()
        self._renewing.succeeded()
        self._standing.report("login", None)
