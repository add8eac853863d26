"""A secret of Vault's KV version 2 engine: polled, with callbacks when it changes."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from rag_common.aio import repeat
from rag_common.backoff import jittered
from rag_common.security.subscribers import Subscribers
from rag_common.settings import SettingsInvalid
from rag_common.vault.connection import Client, SecretText
from rag_common.vault.failures import Denied, Missing, Refused, Unreachable
from rag_common.vault.session import Session, VaultStatus

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Version:
    """One version of a secret; a path that was deleted and written again restarts at version 1."""

    version: int
    created: str
    fields: dict[str, SecretText]


class Secret:
    """The secret at a path; the version that was read last stays in use while Vault is unavailable."""

    def __init__(self, session: Session, status: VaultStatus, mount: str, path: str) -> None:
        self._session = session
        self._status = status
        self._mount = mount
        self._path = path
        self._version: _Version | None = None
        self._changed: Subscribers[Secret] = Subscribers("secret")

    def __repr__(self) -> str:
        return f"Secret({self._mount}/{self._path}, version {self.version})"

    @property
    def version(self) -> int:
        """The version in use; 0 before the first read."""
        return self._version.version if self._version else 0

    def get(self, field: str) -> str:
        """The field's current text. Raises Missing, naming path and field."""
        value = self._version.fields.get(field) if self._version else None
        if value is None:
            raise Missing(
                f"the secret {self._mount}/{self._path} in Vault has no text field {field}"
            )
        return value.get_secret_value()

    def subscribe(self, changed: Callable[["Secret"], None]) -> None:
        """Call `changed`, on the event loop, after every later change."""
        self._changed.add(changed)

    async def refresh(self) -> None:
        """Read the newest version. Raises Missing, Refused, Unreachable; the old version stays then."""
        try:
            latest = await self._session.call("kv.read", self._read)
        except Missing as error:
            raise Missing(f"there is no secret {self._mount}/{self._path} in Vault") from error
        except Denied as error:
            raise Refused(
                f"Vault does not let this service read the secret {self._mount}/{self._path}"
            ) from error
        before, self._version = self._version, latest
        if before and (before.version, before.created) != (latest.version, latest.created):
            log.info("vault_secret_changed", path=self._path, version=latest.version)
            self._changed.notify(self)

    async def keep_fresh(self, interval: float) -> None:
        """Refresh every `interval` seconds, with jitter, until cancelled."""
        await repeat(self._poll, lambda: jittered(interval))

    async def _poll(self) -> None:
        try:
            await self.refresh()
        except Unreachable:
            return  # The session reports that.
        except SettingsInvalid as error:
            self._status.report(f"secret {self._path}", error)
        else:
            self._status.report(f"secret {self._path}", None)

    def _read(self, client: Client) -> _Version:
        reply = client.secrets.kv.v2.read_secret_version(
            self._path, mount_point=self._mount, raise_on_deleted_version=True
        )
        metadata, fields = reply["data"]["metadata"], reply["data"]["data"]
        texts = {name: SecretText(text) for name, text in fields.items() if isinstance(text, str)}
        return _Version(int(metadata["version"]), str(metadata["created_time"]), texts)
