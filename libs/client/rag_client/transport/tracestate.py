"""The W3C header `tracestate`, which other tracing systems use: validated and propagated, not used here.

Rules and limits are those of https://www.w3.org/TR/trace-context/#tracestate-header.
"""

import re

MAX_MEMBERS = 32
# The length that every participant must propagate; from a longer header whole members are removed.
MAX_CHARACTERS = 512
_LARGE_MEMBER = 128

# 32 members of the longest key and value each, with the commas and some white space between.
_MAX_HEADER = 32 * 1024

_KEY = r"[a-z][_0-9a-z\-*/]{0,255}|[a-z0-9][_0-9a-z\-*/]{0,240}@[a-z][_0-9a-z\-*/]{0,13}"
_VALUE = r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_MEMBER = re.compile(f"(?P<key>{_KEY})=(?:{_VALUE})")


def normalize(header: str | None) -> str:
    """The header to propagate; empty if it is absent or malformed.

    A malformed member, or more than 32 members, invalidate the header. Of members with the same key
    the first, which is the latest, is used. From a header over 512 characters, members over 128
    characters are removed first, then those at its end, which are the oldest.
    """
    if not header or len(header) > _MAX_HEADER:
        return ""
    members: dict[str, str] = {}
    count = 0
    for part in header.split(","):
        text = part.strip(" \t")
        if not text:
            continue
        match = _MEMBER.fullmatch(text)
        count += 1
        if not match or count > MAX_MEMBERS:
            return ""
        members.setdefault(match["key"], text)
    return ",".join(_fitting(list(members.values())))


def _fitting(members: list[str]) -> list[str]:
    for large in [member for member in reversed(members) if len(member) > _LARGE_MEMBER]:
        if _length(members) <= MAX_CHARACTERS:
            break
        members.remove(large)
    while _length(members) > MAX_CHARACTERS:
        members.pop()
    return members


def _length(members: list[str]) -> int:
    return sum(map(len, members)) + max(len(members) - 1, 0)
