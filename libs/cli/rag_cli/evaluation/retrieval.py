"""Retrieval quality of a task, for each way to search."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rag_cli.evaluation.metrics import (
    NAMES,
    NDCG,
    Interval,
    by_document,
    differences,
    intervals,
    measure,
)
from rag_cli.evaluation.sets import Query, Task
from rag_client.client.aio import AsyncClient
from rag_client.concurrency import map_concurrently, retry_when_refused
from rag_client.models.options import Fusion, Mode

# A document may have several passages, so more are requested than there are ranks to fill.
_PASSAGES = 30
CONCURRENCY = 8

Rows = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class System:
    """One way to search."""

    name: str
    mode: Mode
    fusion: Fusion | None = None


@dataclass(frozen=True, slots=True)
class Lead:
    """Hybrid's nDCG@10 minus that of the better single list, per query."""

    better: str
    gain: Interval


@dataclass(frozen=True, slots=True)
class TaskQuality:
    """The results of a task by system and metric."""

    task: str
    collection: str
    queries: int
    systems: Mapping[str, Mapping[str, Interval]]
    lead: Lead


def systems(fusions: Sequence[Fusion]) -> list[System]:
    """Dense, sparse, hybrid with the gateway's default fusion, and hybrid with each of `fusions`."""
    named = [System(f"hybrid {fusion}", "hybrid", fusion) for fusion in fusions]
    default = [System("dense", "dense"), System("sparse", "sparse"), System("hybrid", "hybrid")]
    return default + named


async def evaluate(
    client: AsyncClient, task: Task, compared: Sequence[System], on_done: Callable[[], None]
) -> TaskQuality:
    """Run each question with each system."""
    rows = {item.name: await _rows(client, task, item, on_done) for item in compared}
    return summarise(task, rows)


def summarise(task: Task, rows: Mapping[str, Rows]) -> TaskQuality:
    """Means and intervals of `rows`: one value per system, metric and query."""
    better = max(("dense", "sparse"), key=lambda name: sum(rows[name][NDCG]))
    columns = {f"{name}/{metric}": rows[name][metric] for name in rows for metric in NAMES}
    columns["lead"] = differences(rows["hybrid"][NDCG], rows[better][NDCG])
    estimates = intervals(columns)
    return TaskQuality(
        task.name,
        task.collection,
        len(task.queries),
        {name: {metric: estimates[f"{name}/{metric}"] for metric in NAMES} for name in rows},
        Lead(better, estimates["lead"]),
    )


async def _rows(
    client: AsyncClient, task: Task, system: System, on_done: Callable[[], None]
) -> Rows:
    async def measure_one(query: Query) -> Mapping[str, float]:
        reply = await retry_when_refused(
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

    measured = await map_concurrently(task.queries, measure_one, CONCURRENCY, on_done)
    return {metric: [values[metric] for values in measured] for metric in NAMES}
