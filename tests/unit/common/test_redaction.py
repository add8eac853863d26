"""What leaves the process holds no personal data and no secret, and is else as it was."""

import json
import time
import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_common.observability.redaction import REDACTED, redact, redact_event
from rag_gateway.auth.credentials import generate_api_key

# Marks are put together here, lest they be taken for real ones.
JWT = ".".join(
    ("eyJhbGciOiJFUzI1NiJ9", "eyJzdWIiOiJraW0iLCJ0ZW5hbnQiOiJhY21lIn0", "c2lnbmF0dXJl-_x")
)
_KEY = "PRIVATE" + " KEY-----"
_SAMPLE = "rag_" + "Xg1F" * 4 + "_" + "a1B2c3D" * 7
PEM = f"-----BEGIN RSA {_KEY}\nMIIEpAIBAAKC\nq83v\n-----END RSA {_KEY}"
MARKS = {
    "resident-number": [
        "900101-1234567",
        "900101 - 2234567",
        "9001011234567",
        "051231-4123456",
        "880229-5234567",
        "９００１０１－１２３４５６７",
        "900101‑1234567",
        "900101-1******",
    ],
    "phone": [
        "010-1234-5678",
        "010.1234.5678",
        "010 1234 5678",
        "01012345678",
        "010)1234-5678",
        "010 - 1234 - 5678",
        "011-234-5678",
        "02-123-4567",
        "02)1234-5678",
        "0212345678",
        "031-123-4567",
        "070-1234-5678",
        "0505-1234-5678",
        "+82 10 1234 5678",
        "+82-10-1234-5678",
        "+821012345678",
        "+82 (0)10-1234-5678",
        "821012345678",
        "+82-2-123-4567",
        "０１０－１２３４－５６７８",
        "010\u200b1234\u200b5678",
        "010–1234–5678",
    ],
    "email": ["kim@acme.co.kr", "Kim.Min-su+rag@mail.acme.io", "ｋｉｍ＠ａｃｍｅ．ｃｏｍ"],
    "card": [
        "4111111111111111",
        "4111-1111-1111-1111",
        "5555 5555 5555 4444",
        "378282246310005",
        "3782 822463 10005",
        "30569309025904",
        "2223003122003222",
        "6205500000000000004",
        "4222222222222",
        "４１１１－１１１１－１１１１－１１１１",
    ],
    "token": [JWT, JWT.split(".")[0], "Bearer 7f9Kd0aPq2LmZ", "bearer abcdefghijklmnopqrstuvwxyz"],
    "api-key": [
        _SAMPLE,
        _SAMPLE[:-5],
        "sk-proj-" + "a1B2c3D4" * 4,
        "AKIA" + "IOSFODNN7EXAMPLE",
    ],
    "vault-token": [
        "hvs." + "CAESIJlU" * 6,
        "s." + "iyNUhq8O" * 3,
        "hvb." + "AAAAAQJb" * 4,
    ],
    "private-key": [PEM, PEM[:60]],
}
PLANTED = [(label, mark) for label, marks in MARKS.items() for mark in marks]
HARMLESS = [
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "0101234567" * 3 + "ab",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "123e4567-e89b-12d3-a456-426614174000",
    "01012345-6789-0101-2345-010123456789",
    "2026-11-22T17:40:59.123456Z",
    "2026-11-22 17:40:59,123 +0900",
    "20261122174059",
    "1795368459",
    "1795368459123",
    "1795368459123456",
    "1795368459123456789",
    "0.0212345678",
    "0.4111111111111111",
    "0.9001011234567",
    "1.02.123.4567",
    "v1.85.1+20261122",
    "10.0.2.15:50051",
    "[::1]:50051",
    "ipv4:127.0.0.1:50051",
    "spiffe://rag-platform/gateway",
    "https://vault.acme.io:8200/v1/auth",
    "rag.gateway.v1.AnswerService/Search",
    "rag_rpc_server_duration_seconds_bucket",
    "sha256:" + "9f86d081" * 8,
    "4111-1111-1111-1112",
    "991301-1234567",
    "900230-1234567",
    "900101-9234567",
    "주문번호 2026-1122-1740-5912",
    "대표번호 1588-1234",
    "max_tokens=256",
    "tokens: 12, passages: 5",
    "a bearer token is missing",
    "the password is too short",
    "sk-learn",
    "user@host",
    "연차휴가는 며칠인가요? 15일입니다.",
]
PLAIN, REDIS = "hunter2", "redis://"
AROUND = st.text("가나다라은는로의 \n,.:;!?()[]{}<>「」“”%~|/", max_size=12)
# Nothing of which a number, an address or a name with a value can be made.
PLAIN_WORDS = st.lists(
    st.sampled_from([*HARMLESS, "검색", "문서", "call", "ms=12.5", "code=OK", "index: manuals"]),
    max_size=6,
)


def test_a_new_api_key_is_redacted() -> None:
    text = generate_api_key().text
    assert len(text) == len(_SAMPLE)
    assert text not in redact(f"the key {text} of a caller")


@pytest.mark.parametrize(("label", "mark"), PLANTED)
def test_what_is_secret_has_its_label_though_particles_stick_to_it(label: str, mark: str) -> None:
    assert redact(mark) == f"[{label}]"
    assert redact(f"제번호는{mark}로 해 주세요").startswith(f"제번호는[{label}]")


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_harmless_stays(text: str) -> None:
    assert redact(text) == text


@given(AROUND, st.lists(st.tuples(st.sampled_from(PLANTED), AROUND), min_size=1, max_size=4))
def test_no_planted_mark_survives(before: str, planted: list[tuple[tuple[str, str], str]]) -> None:
    text = before + "".join(f"{mark} {after} " for (_, mark), after in planted)
    observed = redact(text)
    assert not [mark for (_, mark), _ in planted if mark in observed]


@given(AROUND, st.sampled_from(PLANTED), AROUND)
def test_of_a_mark_no_part_survives(before: str, planted: tuple[str, str], after: str) -> None:
    observed = redact(f"{before}{planted[1]}가{after}")
    assert not any(planted[1][at : at + 6] in observed for at in range(len(planted[1]) - 5))


@given(PLAIN_WORDS)
def test_harmless_words_in_any_order_are_unchanged(words: list[str]) -> None:
    text = " | ".join(words)
    assert redact(text) == text


@given(st.text("0123456789abcdef", min_size=32, max_size=32))
def test_a_trace_id_survives(trace_id: str) -> None:
    assert redact(f"00-{trace_id}-00f067aa0ba902b7-01") == f"00-{trace_id}-00f067aa0ba902b7-01"


@given(st.datetimes())
def test_a_timestamp_survives(moment: object) -> None:
    assert redact(f"at {moment}") == f"at {moment}"


@given(st.text(), st.sampled_from(PLANTED), st.text())
def test_what_was_redacted_is_not_changed_again(
    before: str, planted: tuple[str, str], after: str
) -> None:
    once = redact(before + planted[1] + after)
    assert redact(once) == once


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (f"{REDIS}user:{PLAIN}@cache:6379/0", "redis://[credentials]@cache:6379/0"),
        (f"{REDIS}:p@ss@cache:6379", "redis://[credentials]@cache:6379"),
        (f"password={PLAIN} user=kim", "password=[secret] user=kim"),
        (f"DB_PASSWORD: '{PLAIN} x'", "DB_PASSWORD: [secret]"),
        (f'{{"password": "{PLAIN}\\"b", "n": 1}}', '{"password": [secret], "n": 1}'),
        ('"{\\"token\\": \\"abc\\"}"', '"{\\"token\\": [secret]}"'),
        ("Authorization: Basic a2ltOng=", "Authorization: [secret]"),
        ("authorization=Bearer x, next", "authorization=[secret] next"),
        ("x-api-key: abc", "x-api-key: [secret]"),
        ("?access_token=abc&page=2", "?access_token=[secret]&page=2"),
        ("비밀번호: 가나다123", "비밀번호: [secret]"),
        ("password='unclosed till the end", "password=[secret]"),
        ("4111 1111 1111 1111 1227 까지", "[card] 1227 까지"),
        ("deadbeefdeadbeef@acme.com", "[email]"),
        ("1.010-1234-5678", "1.[phone]"),
    ],
)
def test_of_a_pair_the_secret_goes_and_the_name_stays(text: str, seen: str) -> None:
    assert redact(text) == seen


@pytest.mark.parametrize(
    "piece",
    [
        "1",
        "4111 ",
        "0 ",
        "010-",
        "+82 ",
        "900101-",
        "0123456789abcdeg",
        "４１１１ ",
        "a",
        "a@",
        "a.",
        "x@a.",
        "://a:",
        "eyJ",
        "-----BEGIN ",
        "password=",
        "password =  ",
        'password="\\',
        "token='",
        "bearer ",
        "sk-",
        "s.",
        "hvs.",
        "rag_",
        "AKIA",
        "4111 1111 1111 1112 ",
    ],
)
def test_a_hostile_text_takes_time_in_proportion_to_its_length(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    began = time.process_time()
    redact(text)
    # Quadratic behaviour would be minutes; ordinary is about one second at most.
    assert time.process_time() - began < 6


def test_a_value_with_nothing_in_it_costs_microseconds() -> None:
    text = "rag.gateway.v1.AnswerService/StreamAnswer"
    seconds = min(timeit.repeat(lambda: redact(text), number=2000, repeat=20)) / 2000
    assert seconds < 3e-6


RECORD = object()


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            {"a": "kim@acme.com", "b": {"c": ["x", {"d": ("010-1234-5678", 5)}]}},
            {"a": "[email]", "b": {"c": ["x", {"d": ["[phone]", 5]}]}},
        ),
        ({"event": "no mail to kim@acme.com"}, {"event": "no mail to [email]"}),
        ({"e": ValueError("kim@acme.com")}, {"e": "ValueError('[email]')"}),
        ({"by": {"kim@acme.com": 2}}, {"by": {"[email]": 2}}),
        ({"no": None, "yes": True, "n": 5}, {"no": None, "yes": True, "n": 5}),
        # What structlog passes on is left alone.
        ({"_record": RECORD}, {"_record": RECORD}),
    ],
    ids=["at any depth", "event", "object", "key", "numbers", "record"],
)
def test_every_value_of_an_event_is_redacted(
    event: dict[str, object], expected: dict[str, object]
) -> None:
    assert redact_event(None, "info", event) == expected


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "token",
        "secret",
        "authorization",
        "api_key",
        "API-Key",
        "db_password",
        "cookie",
        "vault_token",
        "secret_id",
        "private_key",
        "x-api-key",
    ],
)
def test_what_is_called_a_secret_is_left_out(name: str) -> None:
    event = {name: "plain", "nested": {name: ["plain"]}}
    assert redact_event(None, "info", event) == {name: REDACTED, "nested": {name: REDACTED}}


@pytest.mark.parametrize("name", ["tokens", "secrets_up", "keys", "key_id", "passages", "seconds"])
def test_a_name_that_is_only_like_it_keeps_its_value(name: str) -> None:
    assert redact_event(None, "info", {name: "plain"}) == {name: "plain"}


@pytest.mark.parametrize("name", ["trace_id", "request_id", "span_id", "timestamp", "subject"])
def test_what_a_line_is_found_by_stays(name: str) -> None:
    assert redact_event(None, "info", {name: "01012345678"}) == {name: "01012345678"}


def test_of_values_too_deep_nothing_is_shown() -> None:
    deep: object = "kim@acme.com"
    for _ in range(50):
        deep = [deep]
    assert "kim" not in json.dumps(redact_event(None, "info", {"deep": deep}))
