"""Answer quality of a set: does the evidence hold the answer, and is it declined without it."""

import random
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag_client.aio import AsyncClient
from rag_client.bulk import paced, spread
from rag_client.evaluation.intervals import Interval, intervals
from rag_client.evaluation.retrieval import WIDTH
from rag_client.evaluation.sets import EvaluationSet, Query
from rag_client.filters import DOCUMENT_ID, AnyOf, Filter
from rag_client.results import Answer

_SEED = 20240229
_QUOTES = 2


@dataclass(frozen=True, slots=True)
class AnswerQuality:
    """Shares of the questions asked.

    `evidenced`: an answer string stands in the first two quotes. `declined`: no answer, though the
    passages are there. `declined_without`: no answer once the relevant documents are left out.
    """

    task: str
    questions: int
    evidenced: Interval
    declined: Interval
    declined_without: Interval


def sample(chosen: EvaluationSet, count: int) -> list[Query]:
    """`count` questions with known answers, drawn from the whole set, the same on every run."""
    known = [query for query in chosen.queries if query.answers]
    return random.Random(_SEED).sample(known, min(count, len(known)))  # noqa: S311


async def evaluate(
    client: AsyncClient, name: str, queries: Sequence[Query], done: Callable[[], None]
) -> AnswerQuality:
    """Asks every question twice: of the whole collection, and without what answers it."""

    async def one(query: Query) -> tuple[float, float, float]:
        answer = await _ask(client, name, query, None)
        left_out = Filter(must_not=[AnyOf(DOCUMENT_ID, query.doc_ids)])
        without = await _ask(client, name, query, left_out)
        evidenced = answer.skipped is None and holds_answer(answer, query.answers)
        return float(evidenced), float(bool(answer.skipped)), float(bool(without.skipped))

    rows = await spread(queries, one, WIDTH, done)
    names = ("evidenced", "declined", "declined_without")
    found = intervals({name: [row[place] for row in rows] for place, name in enumerate(names)})
    return AnswerQuality(name, len(rows), *(found[name] for name in names))


def holds_answer(answer: Answer, strings: Sequence[str]) -> bool:
    """Whether one of the strings stands in the first two quotes; NFC, white space left aside."""
    quotes = list(dict.fromkeys(citation.quote for citation in answer.citations))[:_QUOTES]
    return any(_bare(text) in _bare(quote) for quote in quotes for text in strings)


async def _ask(
    client: AsyncClient, collection: str, query: Query, left_out: Filter | None
) -> Answer:
    return await paced(lambda: client.answer(query.text, collections=[collection], filter=left_out))


def _bare(text: str) -> str:
    return "".join(unicodedata.normalize("NFC", text).split())
