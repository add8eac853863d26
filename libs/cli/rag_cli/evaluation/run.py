"""Run an evaluation: ingest the sets, search, and answer."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag_cli.evaluation import answers as answering
from rag_cli.evaluation import retrieval
from rag_cli.evaluation.report import Evaluation
from rag_cli.evaluation.retrieval import CONCURRENCY
from rag_cli.evaluation.sets import Entry, EvaluationSet, Task, limited, tasks
from rag_cli.render.progress import note, progress
from rag_client.client.aio import AsyncClient
from rag_client.concurrency import map_concurrently, retry_when_refused
from rag_client.models.options import Fusion


@dataclass(frozen=True, slots=True)
class Plan:
    """The sets and fusions to evaluate; `limit` is the maximum number of questions per task, None for all.

    `answers` is the number of questions with known answers to ask per set.
    """

    sets: Sequence[EvaluationSet]
    fusions: Sequence[Fusion]
    limit: int | None
    answers: int
    command: str


async def evaluate(client: AsyncClient, plan: Plan) -> Evaluation:
    """Ingest each corpus, and run each question."""
    offered = await client.capabilities()
    for dataset in plan.sets:
        with progress(f"ingest {dataset.name}", len(dataset.corpus)) as on_done:
            outcomes = await ingest_corpus(client, dataset, on_done)
        note(f"{dataset.name}: {', '.join(f'{n} {kind}' for kind, n in outcomes.items())}")
    return Evaluation(
        command=plan.command,
        embedding_model=offered.embedding_model,
        embedding_fingerprint=offered.embedding_fingerprint,
        generation_model=next(iter(offered.generation_models), ""),
        retrieval=[await _retrieval(client, task, plan) for task in tasks(plan.sets)],
        answers=[await _answers(client, item, plan) for item in plan.sets if _known(item, plan)],
    )


async def _retrieval(client: AsyncClient, task: Task, plan: Plan) -> retrieval.TaskQuality:
    questions = limited(task, plan.limit)
    compared = retrieval.systems(plan.fusions)
    with progress(f"search {task.name}", len(questions.queries) * len(compared)) as on_done:
        return await retrieval.evaluate(client, questions, compared, on_done)


async def _answers(
    client: AsyncClient, dataset: EvaluationSet, plan: Plan
) -> answering.AnswerQuality:
    queries = answering.sample(dataset, plan.answers)
    with progress(f"answer {dataset.name}", len(queries)) as on_done:
        return await answering.evaluate(client, dataset.name, queries, on_done)


def _known(dataset: EvaluationSet, plan: Plan) -> bool:
    return plan.answers > 0 and any(query.answers for query in dataset.queries)


async def ingest_corpus(
    client: AsyncClient, dataset: EvaluationSet, on_done: Callable[[], None]
) -> Counter[str]:
    """The number of documents per outcome: created, replaced or unchanged. Raises the first failure."""

    async def ingest_one(entry: Entry) -> str:
        result = await retry_when_refused(
            lambda: client.ingest(
                entry.text.encode(),
                collection=dataset.name,
                document_id=entry.id,
                title=entry.title,
                media_type="text/plain",
            )
        )
        return result.outcome

    return Counter(await map_concurrently(dataset.corpus, ingest_one, CONCURRENCY, on_done))
