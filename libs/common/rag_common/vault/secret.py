"""A secret of KV version 2 as a live value: read at the start, looked at again, told of when it changes."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from rag_common.settings import SettingsInvalid
from rag_common.subscribers import Subscribers
from rag_common.vault.concealed import Concealed
from rag_common.vault.connection import Client
from rag_common.vault.failures import Denied, Missing, Refused, Unreachable
from rag_common.vault.session import Session
from rag_common.vault.standing import Standing
from rag_common.vault.timing import spread

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Reading:
    """One version; a path that was wiped and written anew begins at version 1 again."""

    version: int
    created: str
    fields: dict[str, Concealed]


class Secret:
    """What lies at a path; the last version that was read stays good while Vault is away."""

    def __init__(self, session: Session, standing: Standing, mount: str, path: str) -> None:
        self._session = session
        self._standing = standing
        self._mount = mount
        self._path = path
        self._reading: _Reading | None = None
        self._changed: Subscribers[Secret] = Subscribers()

    def __repr__(self) -> str:
        return f"Secret({self._mount}/{self._path}, version {self.version})"

    @property
    def version(self) -> int:
        """The version in use; 0 before the first reading."""
        return self._reading.version if self._reading else 0

    def get(self, field: str) -> str:
        """The field's present text. Raises Missing, naming path and field."""
        found = self._reading.fields.get(field) if self._reading else None
        if found is None:
            raise Missing(
                f"the secret {self._mount}/{self._path} in Vault has no text field {field}"
            )
        return found.reveal()

    def subscribe(self, changed: Callable[["Secret"], None]) -> None:
        """Call `changed`, on the event loop, after every change that comes from now on."""
        self._changed.add(changed)

    async def look(self) -> None:
        """Take the newest version. Raises Missing, Denied, Unreachable; what was read stays."""
        try:
            found = await self._session.ask("kv.read", self._read)
        except Missing as error:
            raise Missing(f"there is no secret {self._mount}/{self._path} in Vault") from error
        except Denied as error:
            raise Refused(
                f"Vault does not let this service read the secret {self._mount}/{self._path}"
            ) from error
        before, self._reading = self._reading, found
        if before and (before.version, before.created) != (found.version, found.created):
            log.info("vault_secret_changed", path=self._path, version=found.version)
            self._changed.tell(self)

    async def keep(self, interval: float) -> None:
        """Look every `interval` seconds, with jitter, until cancelled."""
        while True:
            await asyncio.sleep(spread(interval))
            try:
                await self.look()
            except Unreachable:
                continue  # The session tells of that.
            except SettingsInvalid as error:
                self._standing.report(f"secret {self._path}", error)
            else:
                self._standing.report(f"secret {self._path}", None)

    def _read(self, client: Client) -> _Reading:
        reply = client.secrets.kv.v2.read_secret_version(
            self._path, mount_point=self._mount, raise_on_deleted_version=True
        )
        metadata, fields = reply["data"]["metadata"], reply["data"]["data"]
        texts = {name: Concealed(text) for name, text in fields.items() if isinstance(text, str)}
        return _Reading(int(metadata["version"]), str(metadata["created_time"]), texts)
