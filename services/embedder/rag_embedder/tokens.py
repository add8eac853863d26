"""A text as a model sees it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tokens:
    """Ids with the special ones, cut to the model's maximum; `total` counts them before the cut."""

    ids: list[int]
    total: int

    @property
    def truncated(self) -> bool:
        """Whether the end of the text is lost."""
        return self.total > len(self.ids)
