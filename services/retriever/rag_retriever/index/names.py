"""The names of indexes."""

import re

from rag_contract.errors import FieldInvalid

# The alias of the index that calls without a name use.
DEFAULT = "default"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")


def is_valid_name(name: str) -> bool:
    """Whether an index can have this name."""
    return name != DEFAULT and _NAME.fullmatch(name) is not None


def require_valid_name(name: str) -> None:
    """Raise FieldInvalid if no index can have this name."""
    if not is_valid_name(name):
        raise FieldInvalid.of(
            "index",
            "must be a lower-case letter, then lower-case letters, digits or hyphens, at most 64 "
            "characters, and not `default`",
        )
