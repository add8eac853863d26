"""Passages taken in under load, and taken out again."""

import time
from dataclasses import dataclass
from itertools import islice

from rag_client.aio import AsyncClient
from rag_client.bulk import paced, spread
from rag_client.load.wording import passages

_WIDTH = 8
_A_DOCUMENT = 8


@dataclass(frozen=True, slots=True)
class FillLoad:
    """How fast passages became searchable."""

    documents: int
    passages: int
    seconds: float
    rate: float


async def fill(client: AsyncClient, collection: str, count: int) -> FillLoad:
    """Takes in about `count` passages of about 300 tokens each, in documents of eight."""
    texts = passages()
    documents = ["\n\n".join(islice(texts, _A_DOCUMENT)) for _ in range(-(-count // _A_DOCUMENT))]

    async def one(item: tuple[int, str]) -> int:
        number, text = item
        name = f"bench-{number}"
        result = await paced(
            lambda: client.ingest(text.encode(), collection=collection, document_id=name)
        )
        return result.document.passage_count

    begin = time.perf_counter()
    made = sum(await spread(enumerate(documents), one, _WIDTH))
    elapsed = time.perf_counter() - begin
    return FillLoad(len(documents), made, elapsed, made / elapsed)


async def empty(client: AsyncClient, collection: str) -> None:
    """Removes every document of a collection."""
    names = [item.document_id async for item in client.list_documents(collection=collection)]

    async def remove(name: str) -> int:
        return await paced(lambda: client.delete_document(name, collection=collection))

    await spread(names, remove, _WIDTH)
