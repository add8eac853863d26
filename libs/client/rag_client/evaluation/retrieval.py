"""Retrieval quality of a task, by list."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rag_client.aio import AsyncClient
from rag_client.bulk import paced, spread
from rag_client.evaluation.intervals import Interval, differences, intervals
from rag_client.evaluation.metrics import NAMES, NDCG, by_document, measure
from rag_client.evaluation.sets import Query, Task
from rag_client.options import Fusion, Mode

# A document may have several passages, so more are asked for than there are ranks to fill.
_PASSAGES = 30
WIDTH = 8

Rows = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class System:
    """One way to search."""

    name: str
    mode: Mode
    fusion: Fusion | None = None


@dataclass(frozen=True, slots=True)
class Lead:
    """By how much hybrid's nDCG@10 is above that of the better single list, query by query."""

    better: str
    gain: Interval


@dataclass(frozen=True, slots=True)
class TaskQuality:
    """What a task came to: per system, per metric."""

    task: str
    collection: str
    queries: int
    systems: Mapping[str, Mapping[str, Interval]]
    lead: Lead


def systems(fusions: Sequence[Fusion]) -> list[System]:
    """Dense, sparse, hybrid with the gateway's own fusion, and hybrid with each named one."""
    named = [System(f"hybrid {fusion}", "hybrid", fusion) for fusion in fusions]
    default = [System("dense", "dense"), System("sparse", "sparse"), System("hybrid", "hybrid")]
    return default + named


async def evaluate(
    client: AsyncClient, task: Task, compared: Sequence[System], done: Callable[[], None]
) -> TaskQuality:
    """Asks every question of every system."""
    rows = {item.name: await _rows(client, task, item, done) for item in compared}
    return summarise(task, rows)


def summarise(task: Task, rows: Mapping[str, Rows]) -> TaskQuality:
    """Means and intervals of per-query values: system, then metric, then a value a query."""
    better = max(("dense", "sparse"), key=lambda name: sum(rows[name][NDCG]))
    columns = {f"{name}/{metric}": rows[name][metric] for name in rows for metric in NAMES}
    columns["lead"] = differences(rows["hybrid"][NDCG], rows[better][NDCG])
    found = intervals(columns)
    return TaskQuality(
        task.name,
        task.collection,
        len(task.queries),
        {name: {metric: found[f"{name}/{metric}"] for metric in NAMES} for name in rows},
        Lead(better, found["lead"]),
    )


async def _rows(client: AsyncClient, task: Task, system: System, done: Callable[[], None]) -> Rows:
    async def one(query: Query) -> Mapping[str, float]:
        reply = await paced(
            lambda: client.search(
                query.text,
                collections=[task.collection],
                mode=system.mode,
                fusion=system.fusion,
                top_k=_PASSAGES,
            )
        )
        ranked = by_document(item.passage.document_id for item in reply.passages)
        return measure(ranked, frozenset(query.doc_ids))

    measured = await spread(task.queries, one, WIDTH, done)
    return {metric: [values[metric] for values in measured] for metric in NAMES}
