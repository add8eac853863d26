"""A document's id goes unchanged through everything that carries it, whatever printable text it is."""

import json
import os
import subprocess
import sys
from pathlib import Path
from unicodedata import normalize

import pytest

from rag.types.v1.filter_pb2 import Condition, Filter, StringSet
from rag_contract.document_ids import ENGLISH, KOREAN
from tests.e2e.callers import FIELD, Caller, refused, row
from tests.e2e.platform import Platform
from tests.support.document_ids import GOOD

TEXT = "창고 열쇠는 경비실에 있다."


@pytest.mark.parametrize("name", GOOD.values(), ids=GOOD)
async def test_an_id_is_kept_as_it_is(caller: Caller, name: str) -> None:
    done = await caller.ingest(name, TEXT)
    assert done.document.document_id == name
    assert (await caller.get(name)).document_id == name
    assert [passage.document_id for passage in await caller.passages(name)] == [name]
    chosen = Filter(must=[Condition(key="document_id", any_of=StringSet(values=[name]))])
    hits = (await caller.search("창고 열쇠", retrieval={"filter": chosen})).passages
    assert [hit.passage.document_id for hit in hits] == [name]
    answer = await caller.ask("창고 열쇠는 어디에 있나요?")
    assert {citation.document_id for citation in answer.citations} == {name}
    assert (await caller.upload(name, TEXT.encode() + b" 2", piece=16)).document.document_id == name
    assert await caller.every_document() == [name]
    assert await caller.delete(name) == 1
    assert await caller.every_document() == []


# Every such text is in tests/unit/common/test_document_ids.py.
@pytest.mark.parametrize("name", ["..", "a\x00b", "x" * 513], ids=["dots", "NUL", "513 bytes"])
async def test_what_no_id_can_be_is_refused_with_its_field_and_the_rule(
    caller: Caller, name: str
) -> None:
    for call in (caller.ingest(name, TEXT), caller.upload(name, TEXT.encode())):
        result = await refused(call)
        assert row(result) == FIELD
        assert ENGLISH in result.message
        assert result.fields[0].endswith("document.document_id")
    for call in (caller.get(name), caller.passages(name), caller.delete(name)):
        result = await refused(call)
        assert (*row(result), result.fields) == (*FIELD, ("document_id",))
    assert await caller.every_document() == []


async def test_pages_of_ids_of_any_kind_are_complete(caller: Caller) -> None:
    names = list(GOOD.values())[:12]
    for name in names:
        await caller.ingest(name, TEXT)
    assert sorted(await caller.every_document(page_size=5)) == sorted(names)


async def test_the_rule_is_told_in_korean_to_whom_reads_it(
    platform: Platform, caller: Caller, tenant: str
) -> None:
    korean = Caller(caller.channel, platform.token(tenant), extra=[("accept-language", "ko")])
    result = await refused(korean.get(".."))
    assert KOREAN in result.korean


FILES = {
    "[공지]/'24, A&B; 100%#1?.md": "[공지]/'24, A&B; 100%#1?.md",
    normalize("NFD", "맥에서 온 파일.md"): "맥에서 온 파일.md",
    "-rf.md": "-rf.md",
    "줄\n바꿈.md": None,
    "\udcff.md": None,
}


async def test_rag_takes_in_a_folder_of_real_file_names_shows_and_deletes_them(
    platform: Platform, caller: Caller, tenant: str, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    for number, name in enumerate(FILES):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}번 창고 열쇠는 경비실에 있다.")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAG_")},
        "RAG_TARGET": platform.target,
        "RAG_TOKEN": platform.token(tenant),
    }

    def rag(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("rag")), *words]
        return subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
        )

    done = rag("ingest", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    result = set(await caller.every_document())
    assert len(result) == len(FILES)
    expected = {name for name in FILES.values() if name}
    assert expected <= result
    for name in result:
        shown = rag("documents", "show", "--json", "--", name)
        assert shown.returncode == 0, shown.stderr
        assert json.loads(shown.stdout)["document"]["document_id"] == name
        assert rag("documents", "delete", "--", name).returncode == 0
    assert await caller.every_document() == []
