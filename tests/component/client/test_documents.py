"""Documents: taken in whole or in pieces, listed, read, deleted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from rag.gateway.v1 import document_service_pb2 as documents
from rag_client.files import CHUNK_BYTES, MAX_UNARY_BYTES
from rag_contract import errors
from tests.support.client import replies
from tests.support.client.neighbour import Neighbour, PlainRefusal

Call = Callable[..., Any]
DOWN = PlainRefusal(grpc.StatusCode.UNAVAILABLE)


def test_documents_come_page_after_page(neighbour: Neighbour, call: Call) -> None:
    neighbour.says("ListDocuments", replies.page("a", "b", token="2"), DOWN, replies.page("c"))
    result = call("list_documents", collection="rules", page_size=2)
    assert [document.document_id for document in result] == ["a", "b", "c"]
    assert [heard.request.page_token for heard in neighbour.heard] == ["", "2", "2"]


def test_a_document_of_one_mebibyte_goes_in_one_message(neighbour: Neighbour, call: Call) -> None:
    neighbour.says("IngestDocument", replies.ingested())
    result = call("ingest", b"x" * MAX_UNARY_BYTES, collection="rules", metadata={"year": 2024})
    request = neighbour.heard[0].request
    assert (result.outcome, result.document.passage_count) == ("created", 2)
    assert request.document.metadata["year"] == 2024
    assert len(request.content) == MAX_UNARY_BYTES


def test_a_larger_file_goes_in_pieces_after_its_header(
    neighbour: Neighbour, call: Call, tmp_path: Path
) -> None:
    path = tmp_path / "rules.txt"
    path.write_bytes(b"x" * (MAX_UNARY_BYTES + 1))
    reply = documents.UploadDocumentResponse(outcome=documents.INGEST_OUTCOME_REPLACED)
    neighbour.says("UploadDocument", reply)
    assert call("ingest", path, document_id="rules").outcome == "replaced"
    header, *pieces = neighbour.heard[0].request
    assert header.header.document.document_id == "rules"
    assert header.header.document.filename == "rules.txt"
    assert [len(piece.content) for piece in pieces] == [CHUNK_BYTES, CHUNK_BYTES, 1]


def test_an_upload_that_is_refused_raises_the_reason(neighbour: Neighbour, call: Call) -> None:
    neighbour.says("UploadDocument", errors.MessageTooLarge("at most 64 MiB"))
    with pytest.raises(errors.MessageTooLarge, match="64 MiB"):
        call("ingest", b"x" * (MAX_UNARY_BYTES + 1))


def test_a_document_is_read_and_deleted(neighbour: Neighbour, call: Call) -> None:
    neighbour.says("GetDocument", documents.GetDocumentResponse(document={"title": "규칙"}))
    neighbour.says("ListPassages", documents.ListPassagesResponse(passages=[{"ordinal": 1}]))
    neighbour.says("DeleteDocument", documents.DeleteDocumentResponse(deleted_passages=4))
    assert call("get_document", "a").title == "규칙"
    assert [item.ordinal for item in call("list_passages", "a", first_ordinal=1)] == [1]
    assert call("delete_document", "a") == 4
