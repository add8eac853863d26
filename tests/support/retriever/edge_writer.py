"""A process that writes until it is killed, and says what was acknowledged.

python -m tests.support.retriever.edge_writer <folder> <index of the run> [optimize]
"""

import asyncio
import sys
from pathlib import Path

from rag_retriever.engines.edge import EdgeCatalog
from rag_retriever.index.ports import Catalog, IndexSpec
from tests.support.contracts.samples import DIMENSIONS, document, put

SPEC = IndexSpec("main", DIMENSIONS, "fingerprint")
DOCUMENTS = 8


async def write(root: Path, run: int, optimize: bool) -> None:
    """Publish version after version; a line `acknowledged <document> <version>` each."""
    async with EdgeCatalog(root) as catalog:
        await catalog.create(SPEC)
        index = await catalog.open("")
        task = asyncio.create_task(_optimize(catalog)) if optimize else None
        number = 0
        while True:
            name, version = f"d{number % DOCUMENTS}", f"{run:04d}-{number:06d}"
            await put(index, document(name, version, passages=3))
            sys.stdout.write(f"acknowledged {name} {version}\n")
            sys.stdout.flush()
            number += 1
            if task is not None and task.done():
                await task


async def _optimize(catalog: Catalog) -> None:
    while True:
        await catalog.optimize("")


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2]), "optimize" in sys.argv))
