"""A text that must not be seen: no repr, no format, no pickle and no JSON shows it."""

import hmac
from typing import NoReturn, final


@final
class Concealed:
    """Holds a secret; `reveal` is the one way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself, for the call that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "Concealed()"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Concealed):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is neither pickled nor copied")
