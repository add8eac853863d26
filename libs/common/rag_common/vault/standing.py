"""How things stand with Vault, for health, metrics and the log, which hears of changes only."""

import time
from dataclasses import dataclass

import structlog

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class State:
    """Whether all is well with Vault, since when, and what is not.

    `since` is in seconds of Unix time. `error` is the class of the first trouble, empty where there
    is none; `troubles` has all, by part. `lease_seconds` are left until the token ends: infinite
    where it never does, 0 where it has.
    """

    ok: bool
    since: float
    error: str
    troubles: dict[str, str]
    lease_seconds: float


class Standing:
    """The troubles there are now, by the part that has them."""

    def __init__(self) -> None:
        self._troubles: dict[str, str] = {}
        self._since = time.time()

    def report(self, part: str, error: Exception | None) -> None:
        """What the part's last attempt came to."""
        trouble = type(error).__name__ if error else None
        if trouble == self._troubles.get(part):
            return
        was_ok = not self._troubles
        if trouble:
            self._troubles[part] = trouble
            log.warning("vault_degraded", part=part, error=trouble)
        else:
            del self._troubles[part]
            log.info("vault_restored", part=part)
        if was_ok or not self._troubles:
            self._since = time.time()

    def state(self, lease_seconds: float) -> State:
        """The present state, of a token with that many seconds left."""
        troubles = dict(self._troubles)
        first = next(iter(troubles.values()), "")
        return State(not troubles, self._since, first, troubles, lease_seconds)
