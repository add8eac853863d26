"""Fixtures of several modules; the stores in Redis are in tests/component/quotas."""

import pytest

from rag_gateway.idempotency.memory import LocalIdempotencyStore
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def replies() -> LocalIdempotencyStore:
    return LocalIdempotencyStore()
