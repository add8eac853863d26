"""Which files are taken in, and under which ids."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

EXTENSIONS = frozenset({".txt", ".md", ".markdown", ".html", ".htm", ".pdf", ".docx"})
_LONGEST_ID = 255
_UNSAFE = re.compile(r"[^A-Za-z0-9가-힣 ._:/@()-]+|^ ")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file and the id that its document will have."""

    path: Path
    document_id: str


def files_in(paths: Sequence[Path]) -> list[SourceFile]:
    """The named files, whatever their kind, and those of a known kind in the named folders.

    Hidden files are passed over. Raises FileNotFoundError for a path that is not there.
    """
    return [found for path in paths for found in _files_at(path)]


def document_id(relative: PurePosixPath) -> str:
    """The id of a file: its path where an id can be that, and else what can be kept and a hash.

    The hash makes two paths two ids; a path is taken in NFC, so macOS and Linux agree.
    """
    name = unicodedata.normalize("NFC", str(relative))
    kept = _UNSAFE.sub("_", name)
    if kept == name and len(name) <= _LONGEST_ID:
        return name
    mark = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return f"{mark}:{kept[-(_LONGEST_ID - len(mark) - 1) :]}"


def _files_at(path: Path) -> Iterator[SourceFile]:
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if path.is_file():
        yield SourceFile(path, document_id(PurePosixPath(path.name)))
        return
    for found in sorted(path.rglob("*")):
        relative = PurePosixPath(*found.relative_to(path).parts)
        hidden = any(part.startswith(".") for part in relative.parts)
        if found.is_file() and not hidden and found.suffix.lower() in EXTENSIONS:
            yield SourceFile(found, document_id(relative))
