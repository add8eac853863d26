"""How many calls are served at once, and that no tenant takes the room of the others."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rag_common import errors

# One tenant alone leaves this part of the room free, so that another's first call finds some.
_SPARE = 8
_RETRY_SECONDS = 0.5


class Admission:
    """At most `most` calls at once; from half of that on, each tenant at most its equal share.

    Nothing waits here: what finds no room is refused at once and told when to come back.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: Counter[str] = Counter()
        self._total = 0

    @contextmanager
    def room(self, payer: str) -> Iterator[None]:
        """Hold room for one call of the tenant's. Raises ResourceExhausted."""
        if self._total >= self._most or self._over_share(payer):
            raise errors.ResourceExhausted(
                "too many calls at once",
                metadata={"subject": f"tenant:{payer}" if payer else "service"},
                retry_after=_RETRY_SECONDS,
            )
        self._held[payer] += 1
        self._total += 1
        try:
            yield
        finally:
            self._total -= 1
            self._held[payer] -= 1
            if not self._held[payer]:
                del self._held[payer]

    def _over_share(self, payer: str) -> bool:
        if self._total * 2 < self._most:
            return False
        tenants = len(self._held) + (payer not in self._held)
        alone = self._most - self._most // _SPARE
        share = alone if tenants == 1 else max(1, self._most // tenants)
        return self._held[payer] >= share
