"""Login at Vault by one of three methods, and the resulting token."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_common.settings import SettingsInvalid
from rag_common.vault.connection import Client, Connection, SecretText
from rag_common.vault.failures import Missing, Refused, SecretIdForeign, SecretIdUsed
from rag_common.vault.settings import VaultOptions


@dataclass(frozen=True, slots=True)
class Lease:
    """A token, its lifetime in seconds, and the Unix time of its expiry; infinite if it never expires."""

    token: SecretText
    seconds: float
    until: float
    renewable: bool


class Login:
    """Logs in any number of times; a wrapped secret id is unwrapped once and cached in memory."""

    def __init__(self, options: VaultOptions, connection: Connection) -> None:
        self._options = options
        self._connection = connection
        self._secret_id = SecretText("")
        self._wrapping = SecretText("")

    async def log_in(self) -> Lease:
        """Get a new token.

        Raises SettingsInvalid if a file is missing, Refused, SecretIdUsed, SecretIdForeign, and
        Unreachable.
        """
        try:
            match self._options.method:
                case "token":
                    return await self._token()
                case "approle":
                    return await self._approle()
                case "kubernetes":
                    return await self._connection.call("login", self._kubernetes)
        except (SecretIdUsed, SecretIdForeign):
            raise
        except (Refused, Missing) as error:
            raise Refused(
                f"Vault at {self._options.address} refuses the login of "
                f"{self._options.role or 'a role without a name'} by {self._options.method}"
            ) from error

    async def _token(self) -> Lease:
        token = await asyncio.to_thread(_read, self._options.token_file, "Vault's token")
        return await self._connection.call("lookup", lambda client: _lookup(client, token), token)

    def _kubernetes(self, client: Client) -> Lease:
        jwt = _read(self._options.jwt_file, "the service account's token")
        reply = client.auth.kubernetes.login(
            self._options.role, jwt.get_secret_value(), use_token=False, mount_point=self._mount
        )
        return granted(reply)

    async def _approle(self) -> Lease:
        if self._options.secret_id_wrapped:
            await self._unwrap()
        return await self._connection.call("login", self._log_in_with_secret_id)

    def _log_in_with_secret_id(self, client: Client) -> Lease:
        role_id = _read(self._options.role_id_file, "the role id")
        secret_id = self._secret_id or _read(self._options.secret_id_file, "the secret id")
        reply = client.auth.approle.login(
            role_id.get_secret_value(),
            secret_id.get_secret_value(),
            use_token=False,
            mount_point=self._mount,
        )
        return granted(reply)

    async def _unwrap(self) -> None:
        """Unwrap the secret id in the file if it is not the one that was unwrapped last."""
        file = self._options.secret_id_file
        # After unwrapping, the file may be deleted.
        wrapping = await asyncio.to_thread(
            _read, file, "the wrapped secret id", needed=not self._secret_id
        )
        if not wrapping or wrapping == self._wrapping:
            return
        try:
            await self._connection.call(
                "unwrap.lookup", lambda client: self._check_origin(client, wrapping)
            )
            reply = await self._connection.call(
                "unwrap", lambda client: client.sys.unwrap(), wrapping
            )
        except SecretIdForeign:
            raise
        except Refused as error:
            raise SecretIdUsed(
                f"the wrapped secret id in {file} was already used or has expired: if this service did "
                "not unwrap it, someone else may have; investigate, and issue a new one"
            ) from error
        self._secret_id, self._wrapping = SecretText(reply["data"]["secret_id"]), wrapping

    def _check_origin(self, client: Client, wrapping: SecretText) -> None:
        """Lookup does not consume the token. An unexpected `creation_path` means it was replaced."""
        reply = client.write_data(
            "sys/wrapping/lookup", data={"token": wrapping.get_secret_value()}
        )
        origin = str(reply["data"]["creation_path"])
        if origin != f"auth/{self._mount}/role/{self._options.role}/secret-id":
            raise SecretIdForeign(
                f"the wrapped secret id in {self._options.secret_id_file} was created by {origin}, "
                f"not for the role {self._options.role}"
            )

    @property
    def _mount(self) -> str:
        return self._options.login_mount


def granted(reply: Any) -> Lease:
    """The lease in Vault's answer to a login or a renewal."""
    auth = reply["auth"]
    return _lease(SecretText(auth["client_token"]), auth["lease_duration"], auth["renewable"])


def _lookup(client: Client, token: SecretText) -> Lease:
    data = client.auth.token.lookup_self()["data"]
    return _lease(token, data["ttl"], data.get("renewable", False))


def _lease(token: SecretText, seconds: float, renewable: bool) -> Lease:
    """A lease from now; Vault returns 0 seconds for a token that never expires."""
    ttl = float(seconds) or float("inf")
    return Lease(token, ttl, time.time() + ttl, bool(renewable))


def _read(path: Path | None, what: str, *, needed: bool = True) -> SecretText:
    """The file's text without surrounding white space; empty if it is missing and not `needed`."""
    if path is None:
        raise SettingsInvalid(f"no file is set for {what}")
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        if not needed:
            return SecretText("")
        raise SettingsInvalid(f"{what} cannot be read from {path}") from error
    if not text and needed:
        raise SettingsInvalid(f"{what} is missing: {path} is empty")
    return SecretText(text)
