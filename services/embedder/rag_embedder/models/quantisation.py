"""Symmetric int8 quantisation of weights, with one scale per row or per column of a matrix."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag_embedder.models.weights import Floats

_PEAK = 127
# The rows of a table that are quantised at a time: the word table has 250,000, each step makes a copy.
_ROWS = 8192


@dataclass(frozen=True)
class Quantised:
    """`values` times `scales`, broadcast, is the matrix; errors are under 1/254 of the maximum."""

    values: NDArray[np.int8]
    scales: Floats


def by_row(weight: Floats) -> Quantised:
    """An embedding table [rows, columns]: `scales` are [rows, 1]."""
    starts = range(0, len(weight), _ROWS)
    parts = [_rows(weight[start : start + _ROWS]) for start in starts]
    values, scales = ([getattr(part, name) for part in parts] for name in ("values", "scales"))
    return Quantised(np.concatenate(values), np.concatenate(scales))


def _rows(weight: Floats) -> Quantised:
    peaks = np.abs(weight).max(axis=1, keepdims=True)
    return _quantised(weight, np.maximum(peaks, np.float32(1e-12)) / np.float32(_PEAK))


def by_column(weight: Floats) -> Quantised:
    """The right side of a product, [rows, columns]: `scales` are [columns], 1 for a column of zeros.

    Equal to the bit to what `quantize_dynamic` of onnxruntime computes with per_channel.
    """
    peaks = np.abs(weight).max(axis=0).astype(np.float64)
    scales = (2 * peaks / (2 * _PEAK)).astype(np.float32)
    return _quantised(weight, np.where(scales < np.finfo(np.float32).tiny, np.float32(1), scales))


def _quantised(weight: Floats, scales: Floats) -> Quantised:
    values = np.clip(np.round(weight / scales), -_PEAK, _PEAK).astype(np.int8)
    return Quantised(values, scales)
