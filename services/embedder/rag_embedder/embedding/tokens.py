"""A tokenised text."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tokens:
    """Token ids with the special ones, truncated to the model's maximum; `total` counts them before that."""

    ids: list[int]
    total: int

    @property
    def truncated(self) -> bool:
        """Whether the end of the text was cut off."""
        return self.total > len(self.ids)
