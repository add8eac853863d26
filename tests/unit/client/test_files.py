"""Which files are taken in, under which ids."""

from pathlib import Path, PurePosixPath

import pytest

from rag_client.files import document_id, file_name, files_in, printable_path
from rag_contract.document_ids import is_document_id


def test_an_id_is_the_path_within_the_given_folder(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "leave.md").write_text("x")
    assert [file.document_id for file in files_in([tmp_path])] == ["rules/leave.md"]


def test_folders_give_known_kinds_and_nothing_hidden(tmp_path: Path) -> None:
    for name in ("a.txt", "b.PDF", "c.exe", ".d.md"):
        (tmp_path / name).write_text("x")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "e.md").write_text("x")
    assert [file.path.name for file in files_in([tmp_path])] == ["a.txt", "b.PDF"]


def test_a_named_file_is_taken_whatever_its_kind(tmp_path: Path) -> None:
    (tmp_path / "c.log").write_text("x")
    assert [file.document_id for file in files_in([tmp_path / "c.log"])] == ["c.log"]


@pytest.mark.parametrize(
    "name",
    [
        "제4차(24_28)+학교도서관+진흥+기본계획.pdf",
        "(초안) 규정.txt",
        "[공지] 휴가#1, 'A&B'; 100%.md",
        "인사/취업 규칙 (2026).md",
        "a/b?c=d.md",
        " 앞뒤 .md ",
        "screen\u202f1\u00a0PM.md",
        "café ❤️ 한자 漢字.md",
        "..md",
        "-rf.md",
    ],
)
def test_a_name_of_printable_characters_is_an_id_as_it_is(name: str) -> None:
    assert document_id(PurePosixPath(name)) == name


@pytest.mark.parametrize(
    "names",
    [
        ("a\u202e.md", "a_.md", "a\u202d.md"),
        ("a\n.md", "a_.md", "a\t.md"),
        ("a\u200b.md", "a_.md", "a\ufeff.md"),
        ("a\udcff.md", "a_.md", "a\udcfe.md"),
        ("가" * 200 + ".md", "나" + "가" * 199 + ".md", "가" * 201 + ".md"),
    ],
    ids=["direction", "control", "zero width", "no UTF-8", "long"],
)
def test_a_name_that_no_id_can_be_keeps_its_end_and_is_told_apart_by_a_hash(
    names: tuple[str, ...],
) -> None:
    result = [document_id(PurePosixPath(name)) for name in names]
    assert len(set(result)) == len(names)
    for name in result:
        assert is_document_id(name)
        assert name.endswith(".md")


def test_a_file_name_that_is_sent_shows_in_full(tmp_path: Path) -> None:
    names = {"a\u202egpj.md": "a_gpj.md", "a\nb.md": "a_b.md", "\u1112\u1161\u11ab.md": "한.md"}
    assert {name: file_name(tmp_path / name) for name in names} == names


def test_a_path_that_is_no_utf_8_can_be_printed() -> None:
    assert printable_path(Path("폴더/a\udcff.md")).encode().decode() == "폴더/a\ufffd.md"


def test_an_id_does_not_depend_on_the_unicode_form_of_the_name() -> None:
    composed, decomposed = PurePosixPath("\ud55c.md"), PurePosixPath("\u1112\u1161\u11ab.md")
    assert document_id(composed) == document_id(decomposed) == "\ud55c.md"


@pytest.mark.parametrize("character", ["a", "é", "가", "😀"])
def test_an_id_has_512_bytes_at_most(character: str) -> None:
    size = len(character.encode())
    fits, over = character * (512 // size), character * (512 // size + 1)
    assert document_id(PurePosixPath(fits)) == fits
    cut = document_id(PurePosixPath(over))
    assert 512 - size < len(cut.encode()) <= 512
    assert is_document_id(cut)
