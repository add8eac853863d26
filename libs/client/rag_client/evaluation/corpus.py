"""A set's corpus, taken in as a collection."""

from collections import Counter
from collections.abc import Callable

from rag_client.aio import AsyncClient
from rag_client.bulk import paced, spread
from rag_client.evaluation.retrieval import WIDTH
from rag_client.evaluation.sets import Entry, EvaluationSet


async def take_in(
    client: AsyncClient, chosen: EvaluationSet, done: Callable[[], None]
) -> Counter[str]:
    """How many documents were created, replaced and unchanged; the first failure is raised."""

    async def one(entry: Entry) -> str:
        result = await paced(
            lambda: client.ingest(
                entry.text.encode(),
                collection=chosen.name,
                document_id=entry.id,
                title=entry.title,
                media_type="text/plain",
            )
        )
        return result.outcome

    return Counter(await spread(chosen.corpus, one, WIDTH, done))
