"""A process that replaces the one document of an index by another version, and waits to be killed.

python -m tests.support.retriever.edge_replacer <folder> <passages>
"""

import asyncio
import sys
from pathlib import Path

from rag_retriever.engines.edge import EdgeCatalog
from tests.component.retriever.test_edge_optimizing import SOON, put_wide


async def replace(root: Path, passages: int) -> None:
    """Publish version v2 of the document, and say `replaced`."""
    async with EdgeCatalog(root, background=False, options=SOON) as catalog:
        await put_wide(await catalog.open(""), "base", passages, "v2")
        sys.stdout.write("replaced\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(replace(Path(sys.argv[1]), int(sys.argv[2])))
