"""Callbacks for a change."""

import pytest

from rag_common.security.subscribers import Subscribers
from tests.support.rpc import logged


def _fail(_news: str) -> None:
    raise ValueError("secret words")


@pytest.mark.parametrize("subject", ["certificate", "secret"])
def test_one_that_fails_is_logged_for_what_it_is_and_stops_no_other(subject: str) -> None:
    heard: list[str] = []
    subscribers: Subscribers[str] = Subscribers(subject)
    for callback in (_fail, heard.append):
        subscribers.add(callback)
    with logged() as lines:
        subscribers.notify("renewed")
    [line] = lines.of("subscriber_failed")
    assert (line["subject"], line["error"]) == (subject, "ValueError")
    assert heard == ["renewed"]
