"""What tests of several folders share."""

from collections.abc import Iterator

import hypothesis
import pytest

from tests.support.qdrant import QdrantServer, qdrant_server

# A time limit for each example fails on a busy machine; speed is measured by `make bench`.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of a file to one worker; a mark `xdist_group` gives several files to one."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A file's content is no name for a test: it may hold the time at which it was written."""
    return argname if isinstance(val, bytes) and len(val) > 100 else None


@pytest.fixture(scope="session")
def qdrant() -> Iterator[QdrantServer]:
    """A Qdrant server that tests leave running; each takes a prefix of its own for its collections."""
    with qdrant_server() as server:
        yield server
