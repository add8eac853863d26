"""What travels with a call."""

import pytest

from rag_common.context import request_id


@pytest.mark.parametrize("given", ["a", "order:7._-x", "x" * 64])
def test_a_fit_request_id_is_kept(given: str) -> None:
    assert request_id(given) == given


@pytest.mark.parametrize("given", [None, "", "x" * 65, "a b", "a\n", "요청", '"'])
def test_another_is_made_instead_of_an_unfit_one(given: str | None) -> None:
    created = request_id(given)
    assert created != given
    assert request_id(created) == created
