"""What names, tags and lines of text must look like."""

import re

from rag_gateway.requests.facts import KEY
from rag_gateway.requests.rules import Form

COLLECTION = Form(
    re.compile(r"[a-z0-9][a-zA-Z0-9_-]{0,63}"),
    "must be a lower-case letter or digit, then at most 63 letters, digits, - or _",
    "영문 소문자나 숫자로 시작하고, 영문자, 숫자, -, _를 합해 64자까지 쓸 수 있습니다.",
)
DOCUMENT_ID = Form(
    re.compile(r"[A-Za-z0-9가-힣._:/@-][A-Za-z0-9가-힣 ._:/@()-]{0,254}"),
    "must be 1 to 255 letters, digits, Hangul, spaces and . _ : / @ ( ) -, not beginning with a space",
    "영문자, 숫자, 한글, 빈칸과 . _ : / @ ( ) -로 1~255자여야 하고, 빈칸으로 시작할 수 없습니다.",
)
METADATA_KEY = Form(
    KEY,
    "must be a letter, then at most 63 letters, digits or _",
    "영문자로 시작하고, 영문자, 숫자, _를 합해 64자까지 쓸 수 있습니다.",
)
LANGUAGE = Form(
    re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}"),
    "is not a BCP 47 tag, such as ko or en-US",
    "ko나 en-US와 같은 BCP 47 언어 태그가 아닙니다.",
)
ID = Form(
    re.compile(r"[A-Za-z0-9._:-]+"),
    "must be letters, digits and . _ : -",
    "영문자, 숫자와 . _ : -만 쓸 수 있습니다.",
)
# Controls, and what turns the direction of writing around: a name must read as what it is.
_HIDDEN = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff"
PLAIN = Form(
    re.compile(rf"[^{_HIDDEN}]*"),
    "holds control characters or overrides of the direction of writing",
    "제어 문자나 글자 방향을 바꾸는 문자가 들어 있습니다.",
)
LINE = Form(
    re.compile(rf"[^{_HIDDEN}\t\n\r\u2028\u2029]*"),
    "must be one line without control characters or overrides of the direction of writing",
    "제어 문자나 글자 방향을 바꾸는 문자가 없는 한 줄이어야 합니다.",
)
# Of a name that rights hang on, nothing may be unseen.
SUBJECT = Form(
    re.compile(rf"[^{_HIDDEN}\s\u00ad\u200b-\u200f\u2060-\u2064\ufeff]+"),
    "must be without white space and without characters that do not show",
    "빈칸이나 보이지 않는 문자를 쓸 수 없습니다.",
)
