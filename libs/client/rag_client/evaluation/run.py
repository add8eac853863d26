"""An evaluation from the folder to the report."""

from collections.abc import Sequence
from dataclasses import dataclass

from rag_client.aio import AsyncClient
from rag_client.console.progress import note, progress
from rag_client.evaluation import answering, corpus, retrieval
from rag_client.evaluation.report import Evaluation
from rag_client.evaluation.sets import EvaluationSet, Task, limited, tasks
from rag_client.options import Fusion


@dataclass(frozen=True, slots=True)
class Plan:
    """What is evaluated: `limit` questions a task at most, and `answers` with known answers."""

    sets: Sequence[EvaluationSet]
    fusions: Sequence[Fusion]
    limit: int | None
    answers: int
    command: str


async def evaluate(client: AsyncClient, plan: Plan) -> Evaluation:
    """Takes in every corpus that is not there yet, and asks every question."""
    offered = await client.capabilities()
    for chosen in plan.sets:
        with progress(f"ingest {chosen.name}", len(chosen.corpus)) as done:
            outcomes = await corpus.take_in(client, chosen, done)
        note(f"{chosen.name}: {', '.join(f'{n} {kind}' for kind, n in outcomes.items())}")
    return Evaluation(
        command=plan.command,
        embedding_model=offered.embedding_model,
        embedding_fingerprint=offered.embedding_fingerprint,
        generation_model=next(iter(offered.generation_models), ""),
        retrieval=[await _retrieval(client, task, plan) for task in tasks(plan.sets)],
        answers=[await _answers(client, item, plan) for item in plan.sets if _known(item, plan)],
    )


async def _retrieval(client: AsyncClient, task: Task, plan: Plan) -> retrieval.TaskQuality:
    asked = limited(task, plan.limit)
    compared = retrieval.systems(plan.fusions)
    with progress(f"search {task.name}", len(asked.queries) * len(compared)) as done:
        return await retrieval.evaluate(client, asked, compared, done)


async def _answers(
    client: AsyncClient, chosen: EvaluationSet, plan: Plan
) -> answering.AnswerQuality:
    queries = answering.sample(chosen, plan.answers)
    with progress(f"answer {chosen.name}", len(queries)) as done:
        return await answering.evaluate(client, chosen.name, queries, done)


def _known(chosen: EvaluationSet, plan: Plan) -> bool:
    return plan.answers > 0 and any(query.answers for query in chosen.queries)
