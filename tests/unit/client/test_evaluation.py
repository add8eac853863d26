"""Metrics against values worked out by hand, intervals, sets and pairs, and evidence."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from rag_cli.evaluation.answers import holds_answer
from rag_cli.evaluation.metrics import (
    by_document,
    differences,
    intervals,
    measure,
    ndcg,
    recall,
    reciprocal_rank,
)
from rag_cli.evaluation.retrieval import summarise
from rag_cli.evaluation.sets import Query, Task, discover, limited, tasks
from rag_client.convert import responses
from rag_client.models.results import Answer
from tests.support.client import replies as given


def test_the_best_passage_of_a_document_gives_its_rank() -> None:
    assert by_document(["b", "a", "b", "c", "a"]) == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (recall(["a", "b", "c"], {"b", "z"}, 1), 0.0),
        (recall(["a", "b", "c"], {"b", "z"}, 3), 0.5),
        (reciprocal_rank(["a", "b", "c"], {"c", "b"}, 10), 0.5),
        (reciprocal_rank(["a", "b", "c"], {"c"}, 2), 0.0),
        (ndcg(["a", "b"], {"a"}, 10), 1.0),
        (ndcg(["x", "y", "a"], {"a"}, 10), 0.5),
        (ndcg(["a", "x", "b"], {"a", "b"}, 10), 1.5 / (1 + 1 / math.log2(3))),
        (ndcg(["a", "b"], {"a", "b", "c"}, 2), 1.0),
    ],
)
def test_a_metric_has_the_value_worked_out_by_hand(value: float, expected: float) -> None:
    assert value == pytest.approx(expected)


def test_all_metrics_of_a_miss_are_zero() -> None:
    assert set(measure([], {"a"}).values()) == {0.0}


def test_intervals_hold_the_mean_and_are_the_same_on_every_run() -> None:
    column = {"x": [0.0, 1.0] * 50}
    result = intervals(column)["x"]
    assert result == intervals(column)["x"]
    assert 0.35 < result.low < result.mean < result.high < 0.65


def test_a_paired_difference_has_no_spread_where_every_query_gains_the_same() -> None:
    first, second = [0.6, 0.9, 0.3], [0.5, 0.8, 0.2]
    result = intervals({"lead": differences(first, second)})["lead"]
    assert (result.low, result.high) == pytest.approx((0.1, 0.1))


def test_hybrid_is_compared_with_the_better_list() -> None:
    rows = {name: measure_rows(value) for name, value in _QUALITY.items()}
    task = Task("s", "s", (Query("1", "?", ("a",)),))
    quality = summarise(task, rows)
    assert quality.lead.better == "sparse"
    assert quality.lead.gain.mean == pytest.approx(0.1)


_QUALITY = {"dense": 0.2, "sparse": 0.8, "hybrid": 0.9}


def measure_rows(value: float) -> dict[str, list[float]]:
    return {name: [value] for name in measure([], {"a"})}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("mm_en", "mm_ko", "other_ko"):
        prefix = name.partition("_")[0]
        corpus = [{"id": f"{prefix}-{n}", "text": f"{name} {n}"} for n in range(3)]
        queries = [
            {"id": f"{prefix}{n}", "text": f"{name} {n}?", "doc_ids": [f"{prefix}-{n}"]}
            for n in range(3)
        ]
        if name == "mm_ko":
            queries[0]["doc_ids"] = ["mm-0", "mm-9"]
        _write(tmp_path / f"{name}_corpus.jsonl", corpus)
        _write(tmp_path / f"{name}_queries.jsonl", queries)
    _write(tmp_path / "lonely_corpus.jsonl", [])
    return tmp_path


def _write(path: Path, lines: Sequence[Mapping[str, object]]) -> None:
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")


def test_sets_are_those_with_corpus_and_queries(folder: Path) -> None:
    assert [item.name for item in discover(folder)] == ["mm_en", "mm_ko", "other_ko"]
    assert [item.name for item in discover(folder, ["mm_ko"])] == ["mm_ko"]


def test_a_set_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(ValueError, match="lonely"):
        discover(folder, ["lonely"])


def test_sets_of_one_family_are_also_asked_across_by_the_judgements_of_the_searched(
    folder: Path,
) -> None:
    result = {task.name: task for task in tasks(discover(folder))}
    assert set(result) == {"mm_en", "mm_ko", "other_ko", "mm_en → mm_ko", "mm_ko → mm_en"}
    crossed = result["mm_en → mm_ko"]
    assert crossed.collection == "mm_ko"
    assert crossed.queries[0] == Query("mm0", "mm_en 0?", ("mm-0", "mm-9"))


def test_a_limit_cuts_the_questions(folder: Path) -> None:
    [task, *_] = tasks(discover(folder))
    assert len(limited(task, 2).queries) == 2
    assert limited(task, None) is task


def _answer(*quotes: str) -> Answer:
    message = given.answer()
    del message.citations[:]
    for quote in quotes:
        message.citations.add(quote=quote)
    return responses.answer(message)


def test_evidence_is_compared_without_white_space_and_in_one_unicode_form() -> None:
    decomposed = "\u1112\u1161\u11ab\u1100\u116e\u11a8"
    assert holds_answer(_answer(f"수도는 {decomposed} 에 있다"), ["한국에"])


def test_only_the_first_two_quotes_count_and_the_same_one_counts_once() -> None:
    assert holds_answer(_answer("a", "a", "서울"), ["서울"])
    assert not holds_answer(_answer("a", "b", "서울"), ["서울"])
