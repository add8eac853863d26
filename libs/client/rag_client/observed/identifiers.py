"""A trace id as people have it at hand."""

import re

_TRACE = re.compile(r"[0-9a-f]{32}")
_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")


def trace_id(written: str) -> str:
    """The 32 digits of an id in any case, with dashes or not, or of a whole traceparent. Raises ValueError."""
    text = written.strip().lower().removeprefix("traceparent:").strip()
    parent = _PARENT.fullmatch(text)
    digits = parent[1] if parent else text.replace("-", "")
    if not _TRACE.fullmatch(digits):
        raise ValueError(
            f"{written!r} is no trace id: 32 hexadecimal digits, or a whole traceparent 00-…-…-01"
        )
    if not digits.strip("0"):
        raise ValueError("a trace id of zeros alone is no trace's")
    return digits
