"""The files to ingest, and their document ids."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rag_contract.document_ids import MAX_BYTES, canonical, is_allowed, is_document_id

# Of files in folders. Images are not among them: not every deployment reads them.
EXTENSIONS = frozenset(
    (
        *(".txt", ".md", ".markdown", ".html", ".htm", ".csv", ".tsv", ".rtf", ".eml"),
        *(".pdf", ".docx", ".pptx", ".xlsx", ".xls", ".ods", ".hwp", ".hwpx"),
    )
)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file and the id of its document."""

    path: Path
    document_id: str


def files_in(paths: Sequence[Path]) -> list[SourceFile]:
    """The files among `paths`, of any type, and the files of a supported type in folders among them.

    Hidden files in folders are ignored. Raises FileNotFoundError for a path that does not exist.
    """
    return [file for path in paths for file in _files_at(path)]


def document_id(relative: PurePosixPath) -> str:
    """The document id of a file: its path if that is a valid id, else a hash and the end of the path.

    The hash keeps the ids of two paths different. The path is normalized to NFC, so that macOS and Linux
    agree.
    """
    name = canonical(str(relative))
    if is_document_id(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    max_bytes = MAX_BYTES - len(digest) - 1
    # The end of a path is its most specific part; "ignore" drops a character that the cut has split.
    return f"{digest}:{_printable(name).encode()[-max_bytes:].decode(errors='ignore')}"


def file_name(path: Path) -> str:
    """The file's name in NFC, with `_` for each character that the gateway does not allow."""
    return _printable(canonical(path.name))


def printable_path(path: Path) -> str:
    """The path as valid Unicode: bytes that are not UTF-8 become U+FFFD."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _printable(name: str) -> str:
    return "".join(letter if is_allowed(letter) else "_" for letter in name)


def _files_at(path: Path) -> Iterator[SourceFile]:
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if path.is_file():
        yield SourceFile(path, document_id(PurePosixPath(path.name)))
        return
    for file in sorted(path.rglob("*")):
        relative = PurePosixPath(*file.relative_to(path).parts)
        hidden = any(part.startswith(".") for part in relative.parts)
        if file.is_file() and not hidden and file.suffix.lower() in EXTENSIONS:
            yield SourceFile(file, document_id(relative))


MAX_UNARY_BYTES = 1024 * 1024
CHUNK_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True)
class Content:
    """A document's bytes. `small` holds all of them up to 1 MiB, and is None for a larger document.

    Each call of `chunks` iterates over the content from its start.
    """

    small: bytes | None
    chunks: Callable[[], Iterator[bytes]]


def read_content(source: bytes | Path) -> Content:
    """The content of bytes or of a file.

    At most 1 MiB of a file is read here, so its size needs no limit and may change until the upload.
    Raises OSError if the file cannot be read.
    """
    if isinstance(source, bytes):
        small = source if len(source) <= MAX_UNARY_BYTES else None
        return Content(small, lambda: _split(source))
    with source.open("rb") as file:
        head = file.read(MAX_UNARY_BYTES + 1)
    return Content(head if len(head) <= MAX_UNARY_BYTES else None, lambda: _read(source))


def _split(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), CHUNK_BYTES):
        yield content[start : start + CHUNK_BYTES]


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
