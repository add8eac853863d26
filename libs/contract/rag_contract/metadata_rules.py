"""Bounds of metadata, and of the filters that test it, with the descriptions of their violations."""

import re

from google.protobuf.timestamp_pb2 import Timestamp

from rag_contract.error_messages import violation
from rag_contract.errors import FieldViolation

MAX_KEYS = 64
# Of a text.
MAX_CHARACTERS = 1_000
# Of a list.
MAX_VALUES = 100
KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
# Descriptions are in English and Korean.
KEY_RULE = (
    "must be a letter, then at most 63 letters, digits or _",
    "영문자로 시작하고, 영문자, 숫자, _를 합해 64자까지 쓸 수 있습니다.",
)
NOT_FINITE = ("must be finite", "유한한 숫자여야 합니다.")
# Years 1 and 9999 in seconds since 1970: the range of RFC 3339 timestamps.
MIN_SECONDS, MAX_SECONDS = -62_135_596_800, 253_402_300_799


def time_violations(stamp: Timestamp, path: str) -> list[FieldViolation]:
    """A violation unless the time is in the years 1 to 9999, with 0 to 999,999,999 nanoseconds."""
    if MIN_SECONDS <= stamp.seconds <= MAX_SECONDS and 0 <= stamp.nanos < 10**9:
        return []
    return [violation(path, "OUT_OF_RANGE", min="0001-01-01", max="9999-12-31")]
