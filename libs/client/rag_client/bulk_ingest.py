"""Ingest many files at a time, with the outcome of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rag_client.client.aio import AsyncClient
from rag_client.concurrency import map_concurrently, retry_when_refused
from rag_client.files import SourceFile, printable_path
from rag_client.models.options import MetadataValue
from rag_client.models.results import ReadingWarning
from rag_contract.errors import AppError

FAILED = "failed"


@dataclass(frozen=True, slots=True)
class FileResult:
    """The outcome of one file: created, replaced, unchanged, or failed.

    `reason` and `message` are set for failed files only; `warnings` say what of others was not read.
    """

    path: str
    document_id: str
    outcome: str
    passages: int = 0
    reason: str = ""
    message: str = ""
    trace_id: str = ""
    warnings: tuple[ReadingWarning, ...] = ()


async def ingest_files(
    client: AsyncClient,
    files: Sequence[SourceFile],
    collection: str,
    metadata: Mapping[str, MetadataValue],
    on_done: Callable[[], None],
    concurrency: int = 4,
) -> list[FileResult]:
    """Ingest the files, `concurrency` at a time, and return their results in the same order.

    A file that fails does not stop the others. `on_done` is called after each file.
    """
    first = {file.document_id: file for file in reversed(files)}

    async def ingest_one(file: SourceFile) -> FileResult:
        if first[file.document_id] is not file:
            duplicate = f"{printable_path(first[file.document_id].path)} has the same id"
            return _failed(file, "DUPLICATE_ID", duplicate)
        return await _ingest(client, file, collection, metadata)

    return await map_concurrently(files, ingest_one, concurrency, on_done)


async def _ingest(
    client: AsyncClient, file: SourceFile, collection: str, metadata: Mapping[str, MetadataValue]
) -> FileResult:
    try:
        result = await retry_when_refused(
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
    return FileResult(
        printable_path(file.path),
        file.document_id,
        result.outcome,
        count,
        trace_id=trace,
        warnings=result.document.warnings,
    )


def _failed(file: SourceFile, reason: str, message: str, trace_id: str = "") -> FileResult:
    return FileResult(
        printable_path(file.path), file.document_id, FAILED, 0, reason, message, trace_id=trace_id
    )
