"""Room for calls: bounded, and shared between tenants."""

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_common.grpc.call import Admission
from rag_contract.errors import ResourceExhausted


def taken(admission: Admission, tenant: str, calls: int, held: ExitStack) -> int:
    """How many of the tenant's calls find room."""
    result = 0
    for _ in range(calls):
        try:
            held.enter_context(admission.room(tenant))
        except ResourceExhausted:
            continue
        result += 1
    return result


def test_one_tenant_alone_leaves_some_room() -> None:
    with ExitStack() as held:
        assert taken(Admission(64), "greedy", 100, held) == 56


def test_another_finds_room_beside_a_greedy_one_and_keeps_to_its_share() -> None:
    admission = Admission(64)
    with ExitStack() as held:
        taken(admission, "greedy", 100, held)
        assert taken(admission, "modest", 5, held) == 5
        assert taken(admission, "greedy", 1, held) == 0


def test_room_comes_back_when_a_call_ends() -> None:
    admission = Admission(1)
    with admission.room("a"), pytest.raises(ResourceExhausted), admission.room("a"):
        pass
    with admission.room("a"):
        pass


def test_who_is_refused_learns_when_to_come_back_and_for_whom() -> None:
    admission = Admission(1)
    with admission.room("a"), pytest.raises(ResourceExhausted) as caught, admission.room("b"):
        pass
    assert caught.value.retry_after
    assert caught.value.metadata["subject"] == "tenant:b"


@given(st.integers(1, 40), st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 60))))
def test_there_are_never_more_than_there_is_room_for(
    most: int, arrivals: list[tuple[str, int]]
) -> None:
    admission = Admission(most)
    with ExitStack() as held:
        assert sum(taken(admission, tenant, calls, held) for tenant, calls in arrivals) <= most
