"""The command `rag`, from its arguments to its output and exit code."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from rag.gateway.v1 import answer_service_pb2 as answers
from rag.gateway.v1 import document_service_pb2 as documents
from rag_client.command import app
from rag_client.signing import Claims, FreshToken, thumbprint
from rag_common import errors
from typer.testing import CliRunner, Result

from tests.client import replies
from tests.client.neighbour import TRACE, Neighbour, PlainRefusal, Silence

Rag = Callable[..., Result]


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def rag(
    target: str, tmp_path: Path, key: Ed25519PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> Rag:
    """Runs `rag` in a folder that holds a development key."""
    keys = tmp_path / ".rag" / "keys"
    keys.mkdir(parents=True)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (keys / "dev.pem").write_bytes(pem)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAG_TARGET", target)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(app, words)


def _claims(token: str, key: Ed25519PrivateKey) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        token, key.public_key(), ["EdDSA"], audience="rag", issuer="rag-dev"
    )
    return claims


def test_a_token_verifies_and_says_what_was_asked(rag: Rag, key: Ed25519PrivateKey) -> None:
    output = rag("token", "--tenant", "acme", "--scope", "search", "--ttl", "15m").stdout.strip()
    claims = _claims(output, key)
    assert (claims["tenant"], claims["scope"]) == ("acme", "search")
    assert claims["exp"] - claims["iat"] == 900
    assert jwt.get_unverified_header(output)["kid"] == thumbprint(key.public_key())


def test_a_thumbprint_is_that_of_rfc_8037() -> None:
    # Appendix A.3 of RFC 8037.
    seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
    public = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed)).public_key()
    assert thumbprint(public) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("words", [("--ttl", "soon"), ("--ttl", "0s"), ("--key", "nowhere.pem")])
def test_a_token_that_cannot_be_made_is_wrong_usage(rag: Rag, words: tuple[str, str]) -> None:
    result = rag("token", *words)
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_fresh_token_is_signed_again_before_it_ends(key: Ed25519PrivateKey) -> None:
    moments = iter([1000.0, 1100.0, 1545.0])
    fresh = FreshToken(key, Claims("demo", ttl=600.0), lambda: next(moments))
    first, second, third = fresh(), fresh(), fresh()
    assert first == second != third


def test_without_a_token_one_is_signed_for_the_tenant(
    rag: Rag, neighbour: Neighbour, key: Ed25519PrivateKey
) -> None:
    neighbour.says("Search", replies.search("a"))
    result = rag("search", "연차", "--tenant", "acme")
    bearer = neighbour.heard[0].metadata["authorization"].removeprefix("Bearer ")
    assert _claims(bearer, key)["tenant"] == "acme"
    assert result.stderr == ""


def test_a_given_token_is_sent_as_it_is(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("Search", replies.search("a"))
    rag("search", "연차", "--token", "given")
    assert neighbour.heard[0].metadata["authorization"] == "Bearer given"


def test_ask_prints_the_answer_its_sources_and_the_trace(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("StreamAnswer", replies.events())
    result = rag("ask", "연차는?", "--collection", "rules", "--mode", "dense")
    assert result.exit_code == 0
    assert result.stdout.startswith("15일입니다. [1]\n")
    for shown in ("[1] 취업 규칙", "휴가 · page 3", "“연차는 15일이다.”", "total 12.5 ms", TRACE):
        assert shown in result.stdout
    assert "\x1b" not in result.stdout


def test_ask_json_is_a_line_an_event(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("StreamAnswer", replies.events())
    lines = [json.loads(line) for line in rag("ask", "연차는?", "--json").stdout.splitlines()]
    names = ["started", "retrieved", "delta", "delta", "completed"]
    assert [line["event"] for line in lines] == names
    assert lines[-1]["answer"]["citations"][0]["document_id"] == "rules.md"


def test_ask_json_without_stream_is_one_object(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("Answer", replies.declined())
    found = json.loads(rag("ask", "연차는?", "--json", "--no-stream").stdout)
    assert (found["text"], found["skipped"]) == ("문서에 없습니다.", "weak_evidence")


def test_an_answer_that_was_withheld_replaces_what_was_streamed(
    rag: Rag, neighbour: Neighbour
) -> None:
    neighbour.says("StreamAnswer", replies.events(replies.declined()))
    assert "문서에 없습니다.\n" in rag("ask", "연차는?").stdout


def test_an_incomplete_answer_fails(rag: Rag, neighbour: Neighbour) -> None:
    cut = answers.Incomplete(reason="LENGTH", message="the answer is too long")
    end = answers.StreamAnswerResponse(incomplete=cut)
    neighbour.says("StreamAnswer", [*replies.events()[:4], end])
    result = rag("ask", "연차는?")
    assert result.exit_code == 1
    assert "too long (LENGTH)" in result.stderr


def test_an_error_is_one_sentence_with_reason_field_and_trace(
    rag: Rag, neighbour: Neighbour
) -> None:
    neighbour.says("Search", errors.InvalidArgument.of("retrieval.top_k", "1 to 100"))
    result = rag("search", "연차", "--top-k", "900")
    facts = f"(FIELD_INVALID, field retrieval.top_k, trace {TRACE})"
    assert result.stderr == f"rag: retrieval.top_k: 1 to 100 {facts}\n"
    assert (result.exit_code, result.stdout) == (1, "")


@pytest.mark.parametrize(
    "words", [("search",), ("search", "q", "--top-k", "-1"), ("ask", "q", "--mode", "fuzzy")]
)
def test_wrong_usage_ends_with_2(rag: Rag, words: tuple[str, ...]) -> None:
    assert rag(*words).exit_code == 2


def test_search_explains_itself(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("Search", replies.search("a"))
    result = rag("search", "연차", "--explain")
    for shown in ("0.9000", "0.800", "–", "연차", "취업 규칙", "terms"):
        assert shown in result.stdout
    assert neighbour.heard[0].request.explain


def test_documents_are_listed_shown_and_deleted(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("ListDocuments", replies.page("a", token="2"), replies.page("b"))
    neighbour.says("GetDocument", documents.GetDocumentResponse(document={"title": "규칙"}))
    neighbour.says("ListPassages", documents.ListPassagesResponse(passages=[{"text": "15일"}]))
    neighbour.says("DeleteDocument", documents.DeleteDocumentResponse(deleted_passages=4))
    listed = rag("documents", "--json").stdout.splitlines()
    assert [json.loads(line)["document_id"] for line in listed] == ["a", "b"]
    assert "15일" in rag("documents", "show", "a").stdout
    assert "4 passages" in rag("documents", "delete", "a").stdout


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
    reason = errors.InvalidArgument.of("content", "this PDF is broken")
    neighbour.says("IngestDocument", replies.ingested(), reason, replies.ingested())
    result = rag("ingest", _folder(tmp_path), "--json")
    taken = json.loads(result.stdout)["documents"]
    failed = [item for item in taken if item["outcome"] == "failed"]
    assert result.exit_code == 1
    assert sorted(item["outcome"] for item in taken) == ["created", "created", "failed"]
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
    full = errors.ResourceExhausted("too many calls", retry_after=0.001)
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


def test_a_gateway_that_is_away_is_said_so(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("GetDocument", *[PlainRefusal(grpc.StatusCode.UNAVAILABLE)] * 3)
    result = rag("documents", "show", "a")
    assert (result.exit_code, result.stderr) == (
        1,
        "rag: the gateway does not answer (DEPENDENCY_DOWN)\n",
    )


@pytest.mark.parametrize(
    ("words", "method"), [(("ask", "q"), "StreamAnswer"), (("ingest", "."), "IngestDocument")]
)
def test_an_interrupt_cancels_the_call_and_ends_with_130(
    neighbour: Neighbour, target: str, tmp_path: Path, words: tuple[str, ...], method: str
) -> None:
    silence = Silence()
    neighbour.says(method, silence)
    (tmp_path / "a.txt").write_text("a")
    code = "from rag_client.command import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words, "--target", target],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert silence.begun.wait(30)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "rag: interrupted\n")
    assert silence.ended.wait(10)
