"""A model's graph as a file, with its weights in another one beside it.

ONNX Runtime maps that file: of the word table, most of a multilingual model, only the rows that occur
are in memory, and processes that use the same model share them.
"""

from pathlib import Path

import onnx

_GRAPH = "model.onnx"
_WEIGHTS = "model.onnx.data"
# Smaller tensors are in the graph itself.
_MIN_BYTES = 1024


def save(graph: onnx.ModelProto, directory: Path) -> None:
    """Write both files; the same graph gives the same bytes."""
    onnx.save(
        graph,
        directory / _GRAPH,
        save_as_external_data=True,
        location=_WEIGHTS,
        size_threshold=_MIN_BYTES,
    )
