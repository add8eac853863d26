"""What travels with a call."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_common.context import Trace, request_id

HEADER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_header_is_read_and_written_the_same() -> None:
    trace = Trace.parse(HEADER)
    assert trace == Trace("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", sampled=True)
    assert trace.traceparent == HEADER


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("03", True)])
def test_whether_it_is_sampled_is_the_lowest_flag(flags: str, sampled: bool) -> None:
    trace = Trace.parse(HEADER[:-2] + flags)
    assert trace is not None
    assert trace.sampled is sampled


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        HEADER.upper(),
        HEADER + "-x",
        HEADER + "\n",
        HEADER.replace("00-", "ff-", 1),
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
    ],
)
def test_an_unfit_header_is_none(header: str | None) -> None:
    assert Trace.parse(header) is None


@given(st.text())
def test_any_text_is_read_or_refused(header: str) -> None:
    assert Trace.parse(header) is None


def test_a_new_trace_is_one_that_can_be_passed_on() -> None:
    trace = Trace.new()
    assert Trace.parse(trace.traceparent) == trace
    assert trace != Trace.new()


@pytest.mark.parametrize("given", ["a", "order:7._-x", "x" * 64])
def test_a_fit_request_id_is_kept(given: str) -> None:
    assert request_id(given) == given


@pytest.mark.parametrize("given", [None, "", "x" * 65, "a b", "a\n", "요청", '"'])
def test_another_is_made_instead_of_an_unfit_one(given: str | None) -> None:
    made = request_id(given)
    assert made != given
    assert request_id(made) == made


@pytest.mark.parametrize("more", ["", "-what-comes-later"])
def test_a_header_of_a_later_version_is_read_as_far_as_it_is_known(more: str) -> None:
    assert Trace.parse(HEADER.replace("00-", "01-", 1) + more) == Trace.parse(HEADER)
