"""Showing Vault who we are, by one of three methods, and the token that comes of it."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_common.settings import SettingsInvalid
from rag_common.vault.concealed import Concealed
from rag_common.vault.connection import Client, Connection
from rag_common.vault.failures import Missing, Refused, SecretIdForeign, SecretIdUsed
from rag_common.vault.options import VaultOptions


@dataclass(frozen=True, slots=True)
class Lease:
    """A token, the seconds it was given for, and the Unix time of its end: infinite where it has none."""

    token: Concealed
    seconds: float
    until: float
    renewable: bool


class Login:
    """Logs in as often as it is asked to; a wrapped secret id is unwrapped once and kept in memory."""

    def __init__(self, options: VaultOptions, connection: Connection) -> None:
        self._options = options
        self._connection = connection
        self._secret_id = Concealed("")
        self._wrapping = Concealed("")

    async def log_in(self) -> Lease:
        """A new token.

        Raises SettingsInvalid for a file that is missing, Refused, SecretIdUsed, SecretIdForeign,
        and Unreachable.
        """
        try:
            match self._options.method:
                case "token":
                    return await self._token()
                case "approle":
                    return await self._approle()
                case "kubernetes":
                    return await self._connection.ask("login", self._kubernetes)
        except (SecretIdUsed, SecretIdForeign):
            raise
        except (Refused, Missing) as error:
            raise Refused(
                f"Vault at {self._options.address} refuses the login of "
                f"{self._options.role or 'a role without a name'} by {self._options.method}"
            ) from error

    async def _token(self) -> Lease:
        token = await asyncio.to_thread(_read, self._options.token_file, "Vault's token")
        return await self._connection.ask("lookup", lambda client: _looked_up(client, token), token)

    def _kubernetes(self, client: Client) -> Lease:
        jwt = _read(self._options.jwt_file, "the service account's token")
        reply = client.auth.kubernetes.login(
            self._options.role, jwt.reveal(), use_token=False, mount_point=self._mount
        )
        return granted(reply)

    async def _approle(self) -> Lease:
        if self._options.secret_id_wrapped:
            await self._unwrap()
        return await self._connection.ask("login", self._log_in_with_secret_id)

    def _log_in_with_secret_id(self, client: Client) -> Lease:
        role_id = _read(self._options.role_id_file, "the role id")
        secret_id = self._secret_id or _read(self._options.secret_id_file, "the secret id")
        reply = client.auth.approle.login(
            role_id.reveal(), secret_id.reveal(), use_token=False, mount_point=self._mount
        )
        return granted(reply)

    async def _unwrap(self) -> None:
        """Unwrap what lies in the file, unless that was done; a newly delivered one is taken too."""
        file = self._options.secret_id_file
        # Once unwrapped, the file may go.
        wrapping = await asyncio.to_thread(
            _read, file, "the wrapped secret id", needed=not self._secret_id
        )
        if not wrapping or wrapping == self._wrapping:
            return
        try:
            await self._connection.ask(
                "unwrap.lookup", lambda client: self._check_origin(client, wrapping)
            )
            reply = await self._connection.ask(
                "unwrap", lambda client: client.sys.unwrap(), wrapping
            )
        except SecretIdForeign:
            raise
        except Refused as error:
            raise SecretIdUsed(
                f"the wrapped secret id in {file} is used up or too old: where this service did not "
                "unwrap it, somebody else did; find out who, and have a new one made"
            ) from error
        self._secret_id, self._wrapping = Concealed(reply["data"]["secret_id"]), wrapping

    def _check_origin(self, client: Client, wrapping: Concealed) -> None:
        """Looking up uses nothing up. Another origin means that the file was swapped."""
        reply = client.write_data("sys/wrapping/lookup", data={"token": wrapping.reveal()})
        origin = str(reply["data"]["creation_path"])
        if origin != f"auth/{self._mount}/role/{self._options.role}/secret-id":
            raise SecretIdForeign(
                f"the wrapped secret id in {self._options.secret_id_file} was made by {origin}, "
                f"not for the role {self._options.role}"
            )

    @property
    def _mount(self) -> str:
        return self._options.login_mount


def granted(reply: Any) -> Lease:
    """The lease in Vault's answer to a login or a renewal."""
    auth = reply["auth"]
    return _lease(Concealed(auth["client_token"]), auth["lease_duration"], auth["renewable"])


def _looked_up(client: Client, token: Concealed) -> Lease:
    data = client.auth.token.lookup_self()["data"]
    return _lease(token, data["ttl"], data.get("renewable", False))


def _lease(token: Concealed, seconds: float, renewable: bool) -> Lease:
    """A lease from now; Vault says 0 for a token that never ends."""
    lasting = float(seconds) or float("inf")
    return Lease(token, lasting, time.time() + lasting, bool(renewable))


def _read(path: Path | None, what: str, *, needed: bool = True) -> Concealed:
    """What the file holds, without white space around it; empty for one that is neither there nor needed."""
    if path is None:
        raise SettingsInvalid(f"no file is set for {what}")
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        if not needed:
            return Concealed("")
        raise SettingsInvalid(f"{what} cannot be read from {path}") from error
    if not text and needed:
        raise SettingsInvalid(f"{what} is missing: {path} is empty")
    return Concealed(text)
