"""How long the server engine keeps the IDF of a corpus, and of which corpora."""

import pytest

from rag_retriever.engines import idf
from rag_retriever.engines.idf import (
    FRESH_SECONDS,
    MAX_SECONDS,
    MIN_PASSAGES,
    IdfCache,
    absent_idf,
)

CORPUS = ("chunk/4:team",)
LARGE = MIN_PASSAGES


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> IdfCache:
    cache = IdfCache(clock)
    cache.put(CORPUS, LARGE, {1: 2.5, 2: None}, "state")
    return cache


def test_the_idf_of_a_term_that_no_passage_contains_is_known_too(cache: IdfCache) -> None:
    known = cache.find(CORPUS, [1, 2, 3], "state")
    assert known.by_term == {1: 2.5, 2: absent_idf(LARGE)}


def test_each_corpus_has_its_own(cache: IdfCache) -> None:
    assert cache.find(("chunk/5:rival",), [1, 2], "state").by_term == {}
    assert cache.find((*CORPUS, "chunk/4:team/4:wiki"), [1, 2], "state").by_term == {}


def test_fresh_idf_holds_whatever_is_written(cache: IdfCache, clock: Clock) -> None:
    clock.now += FRESH_SECONDS
    known = cache.find(CORPUS, [1], "written")
    assert (known.by_term, known.state) == ({1: 2.5}, None)


def test_older_idf_holds_only_while_nothing_is_written(cache: IdfCache, clock: Clock) -> None:
    clock.now += FRESH_SECONDS + 1
    assert cache.find(CORPUS, [1], "written").by_term == {}
    known = cache.find(CORPUS, [1], "state")
    assert (known.by_term, known.state) == ({1: 2.5}, "state")


def test_no_idf_holds_forever(cache: IdfCache, clock: Clock) -> None:
    clock.now += MAX_SECONDS + 1
    assert cache.find(CORPUS, [1], "state").by_term == {}


def test_the_idf_of_a_small_corpus_is_not_kept(clock: Clock) -> None:
    cache = IdfCache(clock)
    assert not cache.is_small(CORPUS, "state")
    cache.put(CORPUS, MIN_PASSAGES - 1, {1: 2.5}, "state")
    assert cache.find(CORPUS, [1], "state").by_term == {}
    assert cache.is_small(CORPUS, "written")
    clock.now += FRESH_SECONDS + 1
    assert not cache.is_small(CORPUS, "written")


def test_the_oldest_are_dropped_when_there_are_too_many(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idf, "_MAX_TERMS", 3)
    cache = IdfCache(clock)
    cache.put(CORPUS, LARGE, {1: 1.0, 2: 1.0, 3: 1.0}, "state")
    cache.put(CORPUS, LARGE, {1: 1.5, 4: 1.0}, "state")
    assert cache.find(CORPUS, [1, 2, 3, 4], "state").by_term == {1: 1.5, 3: 1.0, 4: 1.0}
