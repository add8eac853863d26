"""The command `rag`, from its arguments to its output and exit code."""

import json
import signal
from importlib.metadata import version
from pathlib import Path

import grpc
import jwt
import pytest
from typer.main import get_command

from rag.gateway.v1 import access_service_pb2 as access
from rag.gateway.v1 import answer_service_pb2 as answers
from rag.gateway.v1 import document_service_pb2 as documents
from rag_cli.main import app
from rag_contract import errors
from tests.support.client import replies
from tests.support.client.fixtures import Rag, start_rag
from tests.support.client.neighbour import TRACE, Neighbour, PlainRefusal, Silence


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
    result = json.loads(rag("ask", "연차는?", "--json", "--no-stream").stdout)
    assert (result["text"], result["skipped"]) == ("문서에 없습니다.", "weak_evidence")


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
    neighbour.says("Search", errors.FieldInvalid.of("retrieval.top_k", "1 to 100"))
    result = rag("search", "연차", "--top-k", "900")
    facts = f"(FIELD_INVALID, field retrieval.top_k, trace {TRACE})"
    assert result.stderr == f"rag: retrieval.top_k: 1 to 100 {facts}\n"
    assert (result.exit_code, result.stdout) == (1, "")


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


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("-c", "rules", "show", "a"), "rules"),
        (("show", "a", "-c", "rules"), "rules"),
        (("-c", "rules", "show", "a", "-c", "other"), "other"),
        (("--collection", "rules", "--json", "show", "a"), "rules"),
        (("--collection=rules", "show", "a", "--json"), "rules"),
        (("show", "a"), "default"),
    ],
)
def test_a_collection_before_the_subcommand_holds_for_it(
    rag: Rag, neighbour: Neighbour, words: tuple[str, ...], expected: str
) -> None:
    neighbour.says("GetDocument", documents.GetDocumentResponse())
    neighbour.says("ListPassages", documents.ListPassagesResponse())
    rag("documents", *words)
    assert [heard.request.collection for heard in neighbour.heard] == [expected, expected]


GROUPS = {
    name: group
    for name, group in get_command(app).commands.items()  # type: ignore[attr-defined]
    if hasattr(group, "commands")
}


def test_a_group_takes_every_option_that_all_its_commands_take() -> None:
    assert set(GROUPS) == {"documents", "keys", "tokens"}
    for group in GROUPS.values():
        own = {option for item in group.params for option in item.opts}
        options = [{o for p in c.params for o in p.opts} for c in group.commands.values()]
        shared = {option for option in set.intersection(*options) if option.startswith("--")}
        assert shared - {"--help"} <= own


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(
    ("group", "rest"),
    [
        ("documents", ("show", "a")),
        ("documents", ("delete", "a")),
        ("keys", ("list",)),
        ("keys", ("create", "job", "--scope", "search")),
        ("keys", ("revoke", "id1")),
        ("tokens", ("issue", "kim", "--scope", "search")),
        ("tokens", ("revoke", "jti-1")),
    ],
)
def test_what_is_said_before_or_behind_a_subcommand_is_the_same(
    rag: Rag,
    neighbour: Neighbour,
    target: str,
    monkeypatch: pytest.MonkeyPatch,
    group: str,
    rest: tuple[str, ...],
    before: bool,
) -> None:
    monkeypatch.setenv("RAG_TARGET", "127.0.0.1:1")
    monkeypatch.setenv("RAG_TOKEN", "of the environment")
    for method in ("GetDocument", "ListPassages", "DeleteDocument"):
        neighbour.says(method, getattr(documents, f"{method}Response")())
    for method in ("ListApiKeys", "CreateApiKey", "RevokeApiKey", "IssueToken", "RevokeToken"):
        neighbour.says(method, getattr(access, f"{method}Response")())
    output = ("--target", target, "--token", "given", "--timeout", "7", "--json")
    result = rag(group, *(output + rest if before else rest + output))
    assert result.exit_code == 0, result.stderr
    assert all(isinstance(json.loads(line), dict) for line in result.stdout.splitlines())
    assert {heard.metadata["authorization"] for heard in neighbour.heard} == {"Bearer given"}
    assert all(heard.remaining < 8 for heard in neighbour.heard)


def test_a_tenant_before_the_subcommand_is_signed_for(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("ListApiKeys", access.ListApiKeysResponse())
    rag("keys", "--tenant", "acme", "list")
    bearer = neighbour.heard[0].metadata["authorization"].removeprefix("Bearer ")
    assert jwt.decode(bearer, options={"verify_signature": False})["tenant"] == "acme"


def test_version_is_that_of_the_distribution(rag: Rag) -> None:
    result = rag("--version")
    assert result.exit_code == 0
    assert result.stdout.split()[:2] == ["rag", version("rag-cli")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rag doc", {"documents"}),
        ("rag keys re", {"revoke"}),
        ("rag documents show --coll", {"--collection"}),
        ("rag search q --mode s", {"sparse"}),
    ],
)
def test_a_shell_is_told_how_a_word_goes_on(
    rag: Rag, monkeypatch: pytest.MonkeyPatch, line: str, expected: set[str]
) -> None:
    monkeypatch.setenv("_RAG_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split()) - 1))
    assert expected <= set(rag().stdout.split())


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
    process = start_rag(*words, "--target", target, cwd=tmp_path)
    assert silence.begun.wait(30)
    process.send_signal(signal.SIGINT)
    _, output = process.communicate(timeout=30)
    assert (process.returncode, output) == (130, "rag: interrupted\n")
    assert silence.ended.wait(10)
