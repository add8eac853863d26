"""The header `tracestate` that a caller names: what is sent, and what is not."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_client.transport.tracestate import normalize

STATE = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE,tenant0@vendor=a:b/c d!"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (STATE, STATE),
        ("a=1", "a=1"),
        ("a=1 , b=2\t,\tc=3", "a=1,b=2,c=3"),
        (",a=1,,b=2, ,", "a=1,b=2"),
        ("a= x", "a= x"),
        ("0t@v=1", "0t@v=1"),
        ("a_b-c*d/e=~", "a_b-c*d/e=~"),
        (f"{'k' * 256}={'v' * 250}", f"{'k' * 256}={'v' * 250}"),
        (f"{'t' * 241}@{'v' * 14}=1", f"{'t' * 241}@{'v' * 14}=1"),
        # The first of two with one key is the latest.
        ("a=1,b=2,a=3", "a=1,b=2"),
        (",".join(f"k{n}=1" for n in range(32)), ",".join(f"k{n}=1" for n in range(32))),
    ],
)
def test_a_header_is_passed_on(header: str, expected: str) -> None:
    assert normalize(header) == expected


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        " , ",
        "a",
        "a=",
        "=1",
        "a =1",
        "A=1",
        "a.b=1",
        "0a=1",
        "한글=1",
        "a=값",
        "a=1=2",
        "a=\x7f",
        "a=1\n",
        "a@=1,b=2",
        "@a=1,b=2",
        "a@@b=1",
        "a@b@c=1",
        "a@0b=1",
        f"{'t' * 242}@v=1",
        f"t@{'v' * 15}=1",
        f"{'k' * 257}=1",
        f"a={'v' * 257}",
        "good=1,bad",
        ",".join(f"k{n}=1" for n in range(33)),
        ",".join(["a=1"] * 33),
        "a=1," + "," * 100_000,
    ],
)
def test_a_malformed_header_is_dropped_as_a_whole(header: str | None) -> None:
    assert normalize(header) == ""


def test_of_a_long_header_large_members_go_first_and_then_the_oldest() -> None:
    large = f"large={'v' * 200}"
    small = [f"key{n}={'v' * 60}" for n in range(7)]
    assert normalize(",".join([large, *small])) == ",".join(small)
    assert normalize(",".join([large, *small[:4]])) == ",".join([large, *small[:4]])
    assert normalize(",".join([*small, "older=1", "oldest=" + "v" * 100])) == ",".join(
        [*small, "older=1"]
    )
    # Of two large ones the older goes, if that is enough.
    assert normalize(",".join([large, small[0], f"other={'v' * 240}"])) == f"{large},{small[0]}"


@given(st.text(alphabet="ab@=, \t!.A", max_size=900))
def test_whatever_comes_is_bounded_and_the_same_at_the_next_hop(header: str) -> None:
    passed_on = normalize(header)
    assert len(passed_on) <= 512
    assert normalize(passed_on) == passed_on
    assert re.fullmatch(r"[\x20-\x7e]*", passed_on)
