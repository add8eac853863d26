"""Which files are taken in, under which ids."""

from pathlib import Path, PurePosixPath

import pytest

from rag_client.files import document_id, files_in


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


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        files_in([tmp_path / "nowhere"])


def test_a_name_that_no_id_can_be_keeps_its_kind_and_is_told_apart_by_a_hash() -> None:
    first, second = (document_id(PurePosixPath(name)) for name in ("휴가#1.md", "휴가_1.md"))
    assert first != second
    assert first.endswith(":휴가_1.md")
    assert second == "휴가_1.md"


def test_a_name_with_spaces_and_brackets_is_an_id_as_it_is() -> None:
    assert document_id(PurePosixPath("인사/취업 규칙 (2026).md")) == "인사/취업 규칙 (2026).md"


def test_an_id_does_not_depend_on_the_unicode_form_of_the_name() -> None:
    composed, decomposed = PurePosixPath("\ud55c.md"), PurePosixPath("\u1112\u1161\u11ab.md")
    assert document_id(composed) == document_id(decomposed)


def test_an_id_is_255_characters_at_most() -> None:
    assert len(document_id(PurePosixPath("a" * 300))) == 255
