"""Answer quality of a set: whether quotes contain the answer, and whether it is declined without evidence."""

import random
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag_cli.evaluation.metrics import Interval, intervals
from rag_cli.evaluation.retrieval import CONCURRENCY
from rag_cli.evaluation.sets import EvaluationSet, Query
from rag_client.client.aio import AsyncClient
from rag_client.concurrency import map_concurrently, retry_when_refused
from rag_client.models.filters import DOCUMENT_ID, AnyOf, Filter
from rag_client.models.results import Answer

_SEED = 20240229
_QUOTES = 2


@dataclass(frozen=True, slots=True)
class AnswerQuality:
    """Shares of the questions.

    `evidenced`: one of the first two quotes contains a known answer. `declined`: no answer, although
    the passages exist. `declined_without`: no answer without the relevant documents.
    """

    task: str
    questions: int
    evidenced: Interval
    declined: Interval
    declined_without: Interval


def sample(dataset: EvaluationSet, count: int) -> list[Query]:
    """`count` questions with known answers, drawn from the complete set, the same in every run."""
    known = [query for query in dataset.queries if query.answers]
    return random.Random(_SEED).sample(known, min(count, len(known)))  # noqa: S311


async def evaluate(
    client: AsyncClient, name: str, queries: Sequence[Query], on_done: Callable[[], None]
) -> AnswerQuality:
    """Ask each question twice: with the complete collection, and without the relevant documents."""

    async def evaluate_one(query: Query) -> tuple[float, float, float]:
        answer = await _answer(client, name, query, None)
        left_out = Filter(must_not=[AnyOf(DOCUMENT_ID, query.doc_ids)])
        without = await _answer(client, name, query, left_out)
        evidenced = answer.skipped is None and holds_answer(answer, query.answers)
        return float(evidenced), float(bool(answer.skipped)), float(bool(without.skipped))

    rows = await map_concurrently(queries, evaluate_one, CONCURRENCY, on_done)
    names = ("evidenced", "declined", "declined_without")
    estimates = intervals({name: [row[i] for row in rows] for i, name in enumerate(names)})
    return AnswerQuality(name, len(rows), *(estimates[name] for name in names))


def holds_answer(answer: Answer, strings: Sequence[str]) -> bool:
    """Whether one of the first two quotes contains one of the strings; compared in NFC, without white space."""
    quotes = list(dict.fromkeys(citation.quote for citation in answer.citations))[:_QUOTES]
    return any(_normalized(text) in _normalized(quote) for quote in quotes for text in strings)


async def _answer(
    client: AsyncClient, collection: str, query: Query, left_out: Filter | None
) -> Answer:
    return await retry_when_refused(
        lambda: client.answer(query.text, collections=[collection], filter=left_out)
    )


def _normalized(text: str) -> str:
    return "".join(unicodedata.normalize("NFC", text).split())
