"""`rag ingest`: what is taken in, and what is said of it."""

import json
from pathlib import Path
from typing import Any

from rag.gateway.v1 import document_service_pb2 as documents
from rag_contract import errors
from tests.support.client import replies
from tests.support.client.fixtures import Rag
from tests.support.client.neighbour import TRACE, Neighbour


def _folder(tmp_path: Path) -> str:
    folder = tmp_path / "handbook"
    folder.mkdir()
    for name in ("bad.pdf", "new.md", "same.txt"):
        (folder / name).write_text(name)
    return str(folder)


def _by_name(request: Any) -> documents.IngestDocumentResponse:
    if request.document.document_id == "same.txt":
        return replies.ingested(documents.INGEST_OUTCOME_UNCHANGED)
    return replies.ingested()


def test_ingest_sums_up_and_says_why_a_file_failed(
    rag: Rag, neighbour: Neighbour, tmp_path: Path
) -> None:
    reason = errors.FieldInvalid.of("content", "this PDF is broken")
    neighbour.says("IngestDocument", replies.ingested(), reason, replies.ingested())
    result = rag("ingest", _folder(tmp_path), "--json")
    acquired = json.loads(result.stdout)["documents"]
    failed = [item for item in acquired if item["outcome"] == "failed"]
    assert result.exit_code == 1
    assert sorted(item["outcome"] for item in acquired) == ["created", "created", "failed"]
    assert (failed[0]["reason"], failed[0]["trace_id"]) == ("FIELD_INVALID", TRACE)


def test_ingest_prints_a_table_for_people(rag: Rag, neighbour: Neighbour, tmp_path: Path) -> None:
    neighbour.always("IngestDocument", _by_name)
    result = rag("ingest", _folder(tmp_path), "-c", "rules", "-m", "year=2024", "-m", "by=인사팀")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.split() == [
        *("created", "replaced", "unchanged", "failed", "passages"),
        *("2", "0", "1", "0", "6"),
    ]
    request = neighbour.heard[0].request
    assert request.collection == "rules"
    assert dict(request.document.metadata) == {"year": 2024, "by": "인사팀"}


def test_ingest_comes_back_when_a_full_gateway_says_so(
    rag: Rag, neighbour: Neighbour, tmp_path: Path
) -> None:
    full = errors.ConcurrencyLimit("too many calls", retry_after=0.001)
    neighbour.says("IngestDocument", full, full, *[replies.ingested() for _ in range(3)])
    assert rag("ingest", _folder(tmp_path)).exit_code == 0
    assert len(neighbour.heard) == 5


def test_two_files_of_one_id_do_not_replace_each_other(
    rag: Rag, neighbour: Neighbour, tmp_path: Path
) -> None:
    neighbour.always("IngestDocument", _by_name)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "readme.md").write_text(name)
    result = rag("ingest", "one", "two")
    assert result.exit_code == 1
    assert "DUPLICATE_ID" in result.stderr
    assert len(neighbour.heard) == 1


def test_a_path_that_is_not_there_fails_before_anything_is_sent(
    rag: Rag, neighbour: Neighbour
) -> None:
    result = rag("ingest", "nowhere")
    assert (result.exit_code, result.stderr) == (1, "rag: nowhere does not exist\n")
    assert not neighbour.heard


def test_ingest_says_what_was_not_read(rag: Rag, neighbour: Neighbour, tmp_path: Path) -> None:
    reply = replies.ingested()
    reply.document.warnings.add(
        reason="PAGE_WITHOUT_TEXT", description="pages without text", pages=[2, 5]
    )
    neighbour.says("IngestDocument", reply, replies.ingested(), replies.ingested())
    result = rag("ingest", _folder(tmp_path))
    assert result.exit_code == 0
    [line] = result.stderr.splitlines()
    assert line.endswith("warning: pages without text (2, 5) (PAGE_WITHOUT_TEXT)")
