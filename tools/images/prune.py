"""Removes from a folder of installed packages what no service needs at run time: prune.py FOLDER.

It runs while an image is built, with nothing but the standard library.
"""

import csv
import shutil
import sys
from pathlib import Path

# Folders of tests. `testing` is not among them: numpy.testing and others are imported by libraries.
_FOLDERS = {"tests", "__pycache__"}
# Sources of compiled modules, stubs for type checkers, and what a linker takes.
_SUFFIXES = {".pyi", ".pxd", ".pyx", ".pxi", ".h", ".hpp", ".c", ".cc", ".cpp", ".a", ".la", ".lib"}
_NAMES = {"py.typed"}


def prune(folder: Path) -> None:
    """Remove folders of tests, headers, stubs and static libraries, and their lines in the RECORD files."""
    scripts = folder / "bin"
    for path in sorted(folder.rglob("*")):
        if path == scripts or (path.name in _FOLDERS and path.is_dir()):
            shutil.rmtree(path)
        elif (path.suffix in _SUFFIXES or path.name in _NAMES) and path.is_file():
            path.unlink()
    for record in folder.glob("*.dist-info/RECORD"):
        _update(record, folder)


def _update(record: Path, folder: Path) -> None:
    rows = list(csv.reader(record.read_text("utf-8").splitlines()))
    kept = sorted(row for row in rows if (folder / row[0]).exists())
    with record.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(kept)


if __name__ == "__main__":
    prune(Path(sys.argv[1]))
