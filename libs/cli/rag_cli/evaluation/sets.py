"""Evaluation sets in a folder: `{set}_corpus.jsonl` beside `{set}_queries.jsonl`."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import Any

_CORPUS = "_corpus.jsonl"
_QUERIES = "_queries.jsonl"


@dataclass(frozen=True, slots=True)
class Entry:
    """A passage of a corpus; it is ingested as one document."""

    id: str
    text: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """A question, the documents that answer it, and the wording of the answers in them, if known."""

    id: str
    text: str
    doc_ids: tuple[str, ...]
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """A corpus and its questions; the name is also the collection's."""

    name: str
    corpus: tuple[Entry, ...]
    queries: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """Questions to run against a collection."""

    name: str
    collection: str
    queries: tuple[Query, ...]


def discover(folder: Path, names: Sequence[str] = ()) -> list[EvaluationSet]:
    """The sets of a folder: all of them, or those named. Raises ValueError if one is missing."""
    corpora = {path.name.removesuffix(_CORPUS): path for path in folder.glob(f"*{_CORPUS}")}
    complete = sorted(name for name in corpora if (folder / f"{name}{_QUERIES}").exists())
    missing = [name for name in names if name not in complete]
    if missing or not complete:
        raise ValueError(f"{folder} has no set {', '.join(missing) or '*_corpus, *_queries'}")
    return [_read(folder, name) for name in names or complete]


def tasks(sets: Sequence[EvaluationSet]) -> list[Task]:
    """A task for each set, then one for each cross-lingual pair.

    Two sets are a pair if their names differ in the last part only (`msmarco_ko`, `msmarco_en`) and
    they share questions and documents by id. The questions of one are then run against the collection
    of the other, with the relevance judgements of the other.
    """
    own = [Task(item.name, item.name, item.queries) for item in sets]
    crossed = [_cross_task(questions, corpus) for questions, corpus in permutations(sets, 2)]
    return own + [task for task in crossed if task.queries]


def limited(task: Task, limit: int | None) -> Task:
    """The first `limit` questions of a task; all of them if it is None."""
    return task if limit is None else replace(task, queries=task.queries[:limit])


def _cross_task(questions: EvaluationSet, corpus: EvaluationSet) -> Task:
    same_family = _family(questions.name) == _family(corpus.name)
    judged = {query.id: query.doc_ids for query in corpus.queries} if same_family else {}
    shared = [
        Query(query.id, query.text, judged[query.id])
        for query in questions.queries
        if set(query.doc_ids) & set(judged.get(query.id, ()))
    ]
    return Task(f"{questions.name} → {corpus.name}", corpus.name, tuple(shared))


def _family(name: str) -> str:
    return name.rpartition("_")[0]


def _read(folder: Path, name: str) -> EvaluationSet:
    corpus = tuple(
        Entry(str(line["id"]), line["text"], line.get("title") or "")
        for line in _lines(folder / f"{name}{_CORPUS}")
    )
    queries = tuple(
        Query(
            str(line["id"]),
            line["text"],
            tuple(map(str, line["doc_ids"])),
            tuple(line.get("answers") or ()),
        )
        for line in _lines(folder / f"{name}{_QUERIES}")
    )
    return EvaluationSet(name, corpus, queries)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)
