"""Files taken in, and what became of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rag_client.aio import AsyncClient
from rag_client.bulk import paced, spread
from rag_client.files import SourceFile
from rag_client.options import MetadataValue
from rag_common.errors import AppError

FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Intake:
    """One file's outcome: created, replaced, unchanged, or failed and why."""

    path: str
    document_id: str
    outcome: str
    passages: int = 0
    reason: str = ""
    message: str = ""
    trace_id: str = ""


async def take_in(
    client: AsyncClient,
    files: Sequence[SourceFile],
    collection: str,
    metadata: Mapping[str, MetadataValue],
    done: Callable[[], None],
    width: int = 4,
) -> list[Intake]:
    """Takes in all files, `width` at a time; one that fails does not keep back the others."""
    first = {file.document_id: file for file in reversed(files)}

    async def one(file: SourceFile) -> Intake:
        if first[file.document_id] is not file:
            taken = f"{first[file.document_id].path} has the same id"
            return _failed(file, "DUPLICATE_ID", taken)
        return await _ingest(client, file, collection, metadata)

    return await spread(files, one, width, done)


async def _ingest(
    client: AsyncClient, file: SourceFile, collection: str, metadata: Mapping[str, MetadataValue]
) -> Intake:
    try:
        result = await paced(
            lambda: client.ingest(
                file.path, collection=collection, document_id=file.document_id, metadata=metadata
            )
        )
    except AppError as error:
        trace = error.metadata.get("trace_id", "")
        return _failed(file, error.reason, error.message, trace)
    except OSError as error:
        return _failed(file, "FILE_UNREADABLE", error.strerror or str(error))
    count = result.document.passage_count
    trace = result.trace_id
    return Intake(str(file.path), file.document_id, result.outcome, count, trace_id=trace)


def _failed(file: SourceFile, reason: str, message: str, trace_id: str = "") -> Intake:
    return Intake(str(file.path), file.document_id, FAILED, 0, reason, message, trace_id=trace_id)
