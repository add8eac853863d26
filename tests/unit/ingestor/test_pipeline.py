"""Taking in a document: what is stored, what is not, and what it costs."""

import asyncio
import time
from contextvars import Token
from dataclasses import replace

import pytest

from rag_common.context import CALL, Call
from rag_contract import errors
from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.parsed import Unread
from rag_ingestor.pipeline.service import DocumentSpec, IngestionService, Outcome
from tests.support.ingestor.fakes import FakeEmbedding, FakeSplitting, FakeStoring, InMemory
from tests.support.waiting import until

SPEC = DocumentSpec("wiki", "doc", "", "", "doc.txt", "", {"team": "hr"})


class Parts:
    """An ingestion and its neighbours."""

    def __init__(self, slots: int = 2) -> None:
        self.splitting = FakeSplitting()
        self.embedding = FakeEmbedding()
        self.storing = FakeStoring()
        self.ingesting = IngestionService(self.splitting, self.embedding, self.storing, slots=slots)


async def test_a_new_document_is_split_embedded_and_stored() -> None:
    parts = Parts()
    done = await parts.ingesting.ingest("kim", SPEC, InMemory(b"content"))
    assert done.outcome is Outcome.CREATED
    document, chunks = parts.storing.kept["kim", "wiki", "doc"]
    assert chunks == ["vector of one", "vector of two", "vector of three"]
    assert (document.passage_count, document.character_count) == (3, 99)
    assert document.metadata["team"] == "hr"
    assert document.title == "its own title"
    inputs = await parts.ingesting.ingest("kim", replace(SPEC, title="given"), InMemory(b"content"))
    assert inputs.document.title == "given"
    assert list(done.timings.seconds) == ["split", "store", "total"]


async def test_a_file_is_released_when_it_is_split_and_before_it_is_stored() -> None:
    parts, file = Parts(), InMemory(b"content")
    parts.storing.gate = asyncio.Event()
    call = asyncio.create_task(parts.ingesting.ingest("kim", SPEC, file))
    await until(lambda: parts.storing.waiting == 1, "the document is being stored")
    assert file.released
    parts.storing.gate.set()
    await call


async def test_the_same_again_costs_neither_reading_nor_embedding() -> None:
    parts = Parts()
    await parts.ingesting.ingest("kim", SPEC, InMemory(b"content"))
    done = await parts.ingesting.ingest("kim", SPEC, InMemory(b"content"))
    assert done.outcome is Outcome.UNCHANGED
    assert (parts.splitting.asked, parts.embedding.embedded) == (1, 3)


@pytest.mark.parametrize("kept", [slice(0), slice(2), slice(1, 3)], ids=["none", "first", "last"])
async def test_the_same_again_makes_a_document_whole_that_has_lost_passages(kept: slice) -> None:
    parts = Parts()
    await parts.ingesting.ingest("kim", SPEC, InMemory(b"content"))
    key = "kim", "wiki", "doc"
    document, chunks = parts.storing.kept[key]
    parts.storing.kept[key] = document, chunks[kept]
    done = await parts.ingesting.ingest("kim", SPEC, InMemory(b"content"))
    assert done.outcome is Outcome.REPLACED
    assert parts.storing.kept[key][1] == chunks
    done = await parts.ingesting.ingest("kim", SPEC, InMemory(b"content"))
    assert done.outcome is Outcome.UNCHANGED


@pytest.mark.parametrize(
    "change",
    [
        {"title": "x"},
        {"uri": "x"},
        {"filename": "x"},
        {"media_type": "text/plain"},
        {"metadata": {"team": "it"}},
        {"metadata": {}},
    ],
)
async def test_any_other_fact_is_another_version(change: dict[str, object]) -> None:
    parts = Parts()
    first = await parts.ingesting.ingest("kim", SPEC, InMemory(b"content"))
    done = await parts.ingesting.ingest("kim", replace(SPEC, **change), InMemory(b"content"))
    assert done.outcome is Outcome.REPLACED
    assert done.document.version != first.document.version


async def test_facts_cannot_run_into_each_other_or_into_the_content() -> None:
    parts = Parts()
    versions = set()
    for title, uri, content in (
        ("ab", "", b"c"),
        ("a", "b", b"c"),
        ("", "ab", b"c"),
        ("", "", b"abc"),
    ):
        done = await parts.ingesting.ingest(
            "kim", replace(SPEC, title=title, uri=uri), InMemory(content)
        )
        versions.add(done.document.version)
    assert len(versions) == 4


async def test_the_order_of_metadata_does_not_matter() -> None:
    parts = Parts()
    await parts.ingesting.ingest(
        "kim", replace(SPEC, metadata={"a": 1, "b": 2}), InMemory(b"content")
    )
    done = await parts.ingesting.ingest(
        "kim", replace(SPEC, metadata={"b": 2, "a": 1}), InMemory(b"content")
    )
    assert done.outcome is Outcome.UNCHANGED


@pytest.mark.parametrize("batch", [0, 1])
async def test_a_version_of_which_a_batch_cannot_be_embedded_is_not_stored(batch: int) -> None:
    parts = Parts()
    parts.embedding.fails = {batch: errors.DependencyDown("down")}
    with pytest.raises(errors.Unavailable):
        await parts.ingesting.ingest("kim", SPEC, InMemory(b"content"))
    assert parts.storing.kept == {}
    parts.embedding.fails = {}
    former = await parts.ingesting.ingest("kim", SPEC, InMemory(b"content"))
    parts.embedding.fails = {batch: errors.DependencyDown("down")}
    with pytest.raises(errors.Unavailable):
        await parts.ingesting.ingest("kim", SPEC, InMemory(b"other"))
    assert parts.storing.kept["kim", "wiki", "doc"][0] == former.document


@pytest.mark.parametrize("error", [errors.FieldInvalid.of("content", "is broken"), None])
async def test_nothing_is_embedded_of_a_file_that_is_broken_or_has_no_text(
    error: errors.AppError | None,
) -> None:
    parts = Parts()
    parts.splitting.error, parts.splitting.texts = error, ()
    with pytest.raises(errors.InvalidArgument) as raised:
        await parts.ingesting.ingest("kim", SPEC, InMemory(b"content"))
    assert [violation.field for violation in raised.value.violations] == ["content"]
    assert (parts.embedding.embedded, parts.storing.kept) == (0, {})


async def test_an_id_that_is_not_given_comes_from_the_content_alone() -> None:
    parts = Parts()
    spec = replace(SPEC, document_id="")
    ids = {
        (await parts.ingesting.ingest("kim", inputs, InMemory(content))).document.document_id
        for inputs, content in (
            (spec, b"a"),
            (replace(spec, title="x"), b"a"),
            (spec, b"b"),
        )
    }
    assert len(ids) == 2
    assert all(name.startswith("sha256:") for name in ids)


async def test_documents_of_two_tenants_never_meet() -> None:
    parts = Parts()
    for tenant in ("kim", "lee"):
        done = await parts.ingesting.ingest(tenant, SPEC, InMemory(b"content"))
        assert done.outcome is Outcome.CREATED
    assert {tenant for tenant, _, _ in parts.storing.kept} == {"kim", "lee"}


async def test_only_so_many_are_taken_in_at_once_and_the_others_follow() -> None:
    parts = Parts(slots=2)
    parts.storing.gate = asyncio.Event()
    tasks = [
        asyncio.create_task(
            parts.ingesting.ingest(
                "kim", replace(SPEC, document_id=f"doc-{number}"), InMemory(b"content")
            )
        )
        for number in range(5)
    ]
    await until(lambda: parts.storing.waiting == 2, "two documents are being stored")
    assert parts.splitting.asked == 2
    parts.storing.gate.set()
    await asyncio.gather(*tasks)
    assert len(parts.storing.kept) == 5


@pytest.mark.parametrize("present", [False, True])
async def test_of_callers_that_bring_the_same_content_at_once_one_changes_the_document(
    present: bool,
) -> None:
    parts = Parts(slots=8)
    if present:
        await parts.ingesting.ingest("kim", SPEC, InMemory(b"former"))
    parts.storing.gate = asyncio.Event()
    calls = [
        asyncio.create_task(parts.ingesting.ingest("kim", SPEC, InMemory(b"new"))) for _ in range(8)
    ]
    await until(lambda: parts.storing.waiting == 8, "all of them are being stored")
    parts.storing.gate.set()
    outcomes = [done.outcome for done in await asyncio.gather(*calls)]
    changed = Outcome.REPLACED if present else Outcome.CREATED
    assert (outcomes.count(changed), outcomes.count(Outcome.UNCHANGED)) == (1, 7)


async def test_a_caller_who_leaves_gives_its_place_free() -> None:
    parts = Parts(slots=1)
    parts.storing.gate = asyncio.Event()
    leaving = asyncio.create_task(parts.ingesting.ingest("kim", SPEC, InMemory(b"content")))
    await until(lambda: parts.storing.waiting == 1, "the document is being stored")
    leaving.cancel()
    await asyncio.wait([leaving])
    parts.storing.gate.set()
    await parts.ingesting.ingest("kim", replace(SPEC, document_id="next"), InMemory(b"content"))
    assert [key[2] for key in parts.storing.kept] == ["next"]


def call_with(seconds: float) -> Token[Call | None]:
    return CALL.set(Call("request-1", "0" * 32, time.monotonic() + seconds))


async def test_a_document_that_cannot_be_stored_in_time_is_refused_before_it_is_embedded() -> None:
    parts = Parts()
    parts.splitting.texts = ["text"] * 3_000
    token = call_with(60.0)
    try:
        with pytest.raises(errors.InputTooLong) as caught:
            await parts.ingesting.ingest("kim", SPEC, InMemory(b"content"))
    finally:
        CALL.reset(token)
    [violation] = caught.value.violations
    assert violation.field == "content"
    assert "has 3000 passages" in violation.description
    assert not parts.embedding.embedded
    assert not parts.storing.kept


async def test_the_pace_of_this_machine_decides_what_fits() -> None:
    parts = Parts()
    parts.splitting.texts = ["text"] * 1_000
    await parts.ingesting.ingest("kim", SPEC, InMemory(b"content"))
    parts.splitting.texts = ["text"] * 3_000
    token = call_with(60.0)
    try:
        done = await parts.ingesting.ingest("kim", SPEC, InMemory(b"more"))
    finally:
        CALL.reset(token)
    assert done.document.passage_count == 3_000


async def test_pages_that_can_be_recognised_now_are_not_unchanged() -> None:
    parts = Parts()
    parts.splitting.unread = (Unread(reasons.PAGE_WITHOUT_TEXT, (2,)),)
    first = await parts.ingesting.ingest("kim", SPEC, InMemory(b"content"))
    assert [tuple(one.pages) for one in first.document.warnings] == [(2,)]
    recognising = IngestionService(
        parts.splitting, parts.embedding, parts.storing, slots=1, recognises=True
    )
    parts.splitting.unread = (Unread(reasons.PAGE_NOT_RECOGNISED, (2,)),)
    again = await recognising.ingest("kim", SPEC, InMemory(b"content"))
    assert [one.reason for one in again.document.warnings] == ["PAGE_NOT_RECOGNISED"]
    last = await recognising.ingest("kim", SPEC, InMemory(b"content"))
    assert last.outcome is Outcome.UNCHANGED
