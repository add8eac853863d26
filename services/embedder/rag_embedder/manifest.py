"""What a model directory holds, and what its vectors depend on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

Precision = Literal["int8", "fp32", "fp16"]
Runtime = Literal["onnx", "torch"]

_FILE = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """A bi-encoder as one runtime computes it.

    `revision` is a hash of weights and tokenizer, `prompts` the text to put before an input by
    task, `normalised` whether the vectors have unit length, `exporter` versions by library.
    """

    name: str
    revision: str
    dims: int
    max_tokens: int
    prompts: Mapping[str, str]
    pooling: str
    normalised: bool
    precision: Precision
    runtime: Runtime
    exporter: Mapping[str, str] = field(default_factory=dict)


def read(directory: Path) -> Manifest:
    """The manifest of a directory. Raises FileNotFoundError when it has none."""
    return Manifest(**json.loads((directory / _FILE).read_text()))


def write(manifest: Manifest, directory: Path) -> None:
    """Put the manifest into a directory."""
    text = json.dumps(asdict(manifest), indent=2, sort_keys=True, ensure_ascii=False)
    (directory / _FILE).write_text(text + "\n")
