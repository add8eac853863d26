"""grpcurl, as a person uses it: what there is, each step alone, and errors that can be read."""

import asyncio
import base64
import json
from typing import Any

import pytest

from tests.e2e.platform import Platform
from tests.support.parts import tool

GRPCURL = tool("grpcurl", "make test")
EMBEDDER, RETRIEVER, GENERATOR, INGESTOR = (
    "rag.embedder.v1.EmbedderService",
    "rag.retriever.v1.RetrieverService",
    "rag.generator.v1.GeneratorService",
    "rag.ingestor.v1.IngestorService",
)
ANSWERS, DOCUMENTS = "rag.gateway.v1.AnswerService", "rag.gateway.v1.DocumentService"
PUBLIC = {
    "embedder": [EMBEDDER],
    "retriever": [RETRIEVER],
    "generator": [GENERATOR],
    "ingestor": [INGESTOR],
    "gateway": [ANSWERS, DOCUMENTS],
}
PASSAGE = "연차 휴가는 한 해에 15일을 준다."


class Person:
    """Somebody at a terminal."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def run(self, service: str, *words: str, token: str = "") -> tuple[int, str, str]:
        """The exit code and what is written; `words` are a verb or data and a method."""
        header = ["-H", f"authorization: Bearer {token}"] if token else []
        *flags, last = words
        process = await asyncio.create_subprocess_exec(
            GRPCURL,
            "-plaintext",
            "-format-error",
            *header,
            *flags,
            self._platform.address(service),
            *last.split(" "),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode or 0, out.decode(), err.decode()

    async def call(self, service: str, method: str, *data: Any, token: str = "") -> list[Any]:
        """The replies of a call that ends well, from JSON."""
        text = "".join(json.dumps(one, ensure_ascii=False) for one in data)
        code, out, err = await self.run(service, "-d", text, method, token=token)
        assert code == 0, err
        return list(_documents(out))

    async def refused(self, service: str, method: str, data: Any, token: str = "") -> Any:
        """The status of a call that is refused, from JSON."""
        text = json.dumps(data)
        code, _, err = await self.run(service, "-d", text, method, token=token)
        assert code != 0
        return json.loads(err[err.index("{") :])


def _documents(text: str) -> list[Any]:
    decoder, result, at = json.JSONDecoder(), [], 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        one, at = decoder.raw_decode(text, at)
        result.append(one)
    return result


@pytest.fixture
def person(platform: Platform) -> Person:
    return Person(platform)


@pytest.mark.parametrize("service", PUBLIC)
async def test_a_service_lists_and_describes_what_it_offers_and_says_that_it_serves(
    person: Person, service: str
) -> None:
    code, listed, _ = await person.run(service, "list")
    assert code == 0
    assert {*PUBLIC[service], "grpc.health.v1.Health"} <= set(listed.split())
    for name in PUBLIC[service]:
        code, described, _ = await person.run(service, f"describe {name}")
        assert code == 0
        assert f"service {name.rpartition('.')[2]}" in described
        health = await person.call(service, "grpc.health.v1.Health/Check", {"service": name})
        assert health == [{"status": "SERVING"}]


async def test_the_steps_of_a_search_can_be_gone_one_by_one(person: Person, tenant: str) -> None:
    """Split, embed, store, embed the query, search: each reply's JSON goes into the next call."""
    content = base64.b64encode(PASSAGE.encode()).decode()
    split = await person.call(
        "ingestor",
        f"{INGESTOR}/SplitDocument",
        {"header": {"filename": "leave.txt"}},
        {"content": content},
    )
    [chunk] = split[1]["chunks"]["chunks"]
    assert chunk["text"] == PASSAGE
    document = {"text": PASSAGE, "task": "TASK_DOCUMENT"}
    [tokens] = await person.call("embedder", f"{EMBEDDER}/Tokenize", document)
    assert "연차" in tokens["terms"]
    [embedded] = await person.call(
        "embedder", f"{EMBEDDER}/Embed", {"texts": [chunk["text"]], "task": "TASK_DOCUMENT"}
    )
    vectors = {name: embedded["embeddings"][0][name] for name in ("dense", "sparse")}
    document = {"document_id": "doc", "collection": "wiki", "version": "1", "passage_count": 1}
    fingerprint = embedded["fingerprint"]
    header = {"tenant_id": tenant, "document": document, "fingerprint": fingerprint}
    chunks = {"chunks": {"chunks": [{"chunk": chunk, **vectors}]}}
    [stored] = await person.call(
        "retriever", f"{RETRIEVER}/UpsertChunks", {"header": header}, chunks
    )
    assert stored["document"]["document_id"] == "doc"
    [counted] = await person.call("retriever", f"{RETRIEVER}/Count", {"tenant_id": tenant})
    assert counted == {"documents": "1", "chunks": "1"}
    [requested] = await person.call(
        "embedder", f"{EMBEDDER}/Embed", {"texts": ["연차는 며칠?"], "task": "TASK_QUERY"}
    )
    query = {name: requested["embeddings"][0][name] for name in ("dense", "sparse")}
    search = {"tenant_id": tenant, "fingerprint": fingerprint, "explain": True, **query}
    [result] = await person.call("retriever", f"{RETRIEVER}/Search", search)
    [hit] = result["passages"]
    assert hit["passage"]["text"] == PASSAGE
    assert "연차" in hit["evidence"]["matched_terms"]
    [answered] = await person.call(
        "generator",
        f"{GENERATOR}/Generate",
        {"question": "연차 휴가는 한 해에 며칠인가요?", "passages": result["passages"]},
    )
    assert "15일" in answered["text"]


async def test_the_gateway_takes_in_a_document_and_answers_with_a_token(
    person: Person, platform: Platform, tenant: str
) -> None:
    token = platform.token(tenant)
    document = {"document_id": "doc", "metadata": {"team": "hr", "year": 2026, "tags": ["a"]}}
    content = base64.b64encode(PASSAGE.encode()).decode()
    [reply] = await person.call(
        "gateway",
        f"{DOCUMENTS}/UploadDocument",
        {"header": {"document": document}},
        {"content": content},
        token=token,
    )
    assert reply["outcome"] == "INGEST_OUTCOME_CREATED"
    assert reply["document"]["metadata"] == document["metadata"]
    question = {"query": "연차 휴가는 한 해에 며칠인가요?"}
    events = await person.call("gateway", f"{ANSWERS}/StreamAnswer", question, token=token)
    assert events[0]["started"]["trace_id"]
    assert events[-1]["completed"]["citations"]


async def test_an_error_is_readable_json_with_its_reason_its_field_and_the_trace(
    person: Person, platform: Platform, tenant: str
) -> None:
    token = platform.token(tenant)
    request = {"query": "", "retrieval": {"top_k": 1000}}
    status = await person.refused("gateway", f"{ANSWERS}/Search", request, token=token)
    assert status["code"] == 3
    details = {one["@type"].rpartition(".")[2]: one for one in status["details"]}
    assert details["ErrorInfo"]["reason"] == "FIELD_INVALID"
    fields = [one["field"] for one in details["BadRequest"]["field_violations"]]
    assert fields[:2] == ["query", "retrieval.top_k"]
    assert details["RequestInfo"]["serving_data"].startswith("trace_id=")
    assert details["LocalizedMessage"]["locale"] == "en-US"


async def test_a_call_without_a_token_is_told_what_to_send(person: Person) -> None:
    status = await person.refused("gateway", f"{ANSWERS}/Search", {"query": "x"})
    assert status["code"] == 16
    assert "authorization: Bearer" in status["message"]
