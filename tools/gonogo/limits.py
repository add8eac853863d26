"""Limits of figures, written as `p95_ms < 200`."""

import operator
import re
from collections.abc import Callable
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class _Limit(BaseModel):
    """A figure's name, how it compares, and its limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    comparison: str
    value: float

    def __str__(self) -> str:
        return f"{self.name} {self.comparison} {self.value:g}"

    def met_by(self, figure: float) -> bool:
        """Whether the figure is within the limit."""
        return _COMPARE[self.comparison](figure, self.value)


def _parse(text: object) -> object:
    found = re.fullmatch(r"([\w.]+) (<=|>=|<|>) ([\d.]+)", str(text))
    if not found:
        raise ValueError(f"{text} is not of the form `p95_ms < 200`")
    return dict(zip(("name", "comparison", "value"), found.groups(), strict=True))


Limit = Annotated[_Limit, BeforeValidator(_parse)]
