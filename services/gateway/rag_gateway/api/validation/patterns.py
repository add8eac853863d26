"""The patterns of names, tags and lines of text, and the rules for timestamps and durations."""

import re
from dataclasses import dataclass
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from rag_contract.durations import to_seconds
from rag_contract.metadata_rules import KEY, KEY_RULE, time_violations
from rag_gateway.api.validation.rules import NO_VIOLATIONS, Pattern, Violations, out_of_range

COLLECTION = Pattern(
    re.compile(r"[a-z0-9][a-zA-Z0-9_-]{0,63}"),
    "must be a lower-case letter or digit, then at most 63 letters, digits, - or _",
    "영문 소문자나 숫자로 시작하고, 영문자, 숫자, -, _를 합해 64자까지 쓸 수 있습니다.",
)
METADATA_KEY = Pattern(KEY, *KEY_RULE)
LANGUAGE = Pattern(
    re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}"),
    "is not a BCP 47 tag, such as ko or en-US",
    "ko나 en-US와 같은 BCP 47 언어 태그가 아닙니다.",
)
ID = Pattern(
    re.compile(r"[A-Za-z0-9._:-]+"),
    "must be letters, digits and . _ : -",
    "영문자, 숫자와 . _ : -만 쓸 수 있습니다.",
)
# Control characters, and overrides of the text direction, which could disguise a name.
_HIDDEN = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff"
PLAIN = Pattern(
    re.compile(rf"[^{_HIDDEN}]*"),
    "holds control characters or overrides of the text direction",
    "제어 문자나 글자 방향을 바꾸는 문자가 들어 있습니다.",
)
LINE = Pattern(
    re.compile(rf"[^{_HIDDEN}\t\n\r\u2028\u2029]*"),
    "must be one line without control characters or overrides of the text direction",
    "제어 문자나 글자 방향을 바꾸는 문자가 없는 한 줄이어야 합니다.",
)
# A subject has rights, so it must not contain invisible characters.
SUBJECT = Pattern(
    re.compile(rf"[^{_HIDDEN}\s\u00ad\u200b-\u200f\u2060-\u2064\ufeff]+"),
    "must be without white space and invisible characters",
    "빈칸이나 보이지 않는 문자를 쓸 수 없습니다.",
)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """A duration of `minimum` to `maximum` seconds."""

    minimum: int
    maximum: int
    required: bool = False

    def violations(self, value: Duration, path: str) -> Violations:
        exact = to_seconds(value)
        if self.minimum <= exact <= self.maximum and 0 <= value.nanos < 10**9:
            return NO_VIOLATIONS
        return [out_of_range(path, self.minimum, self.maximum)]

    def schema(self) -> dict[str, Any]:
        return {"description": f"{self.minimum:,} to {self.maximum:,} seconds"}


@dataclass(frozen=True, slots=True)
class Moment:
    """A timestamp between the years 1 and 9999."""

    required: bool = False

    def violations(self, value: Timestamp, path: str) -> Violations:
        return time_violations(value, path)

    def schema(self) -> dict[str, Any]:
        return {"format": "date-time"}
