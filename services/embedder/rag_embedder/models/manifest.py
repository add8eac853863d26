"""The manifest of a model directory: everything that its vectors depend on, and the hash of its weights."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

Precision = Literal["int8", "fp32", "fp16"]
Runtime = Literal["onnx", "torch"]

_FILE = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """A bi-encoder as one runtime computes it.

    `revision` is a hash of weights and tokenizer, `prompts` the text to prepend to an input by
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
    """The manifest of a directory. Raises FileNotFoundError if it has none."""
    return Manifest(**json.loads((directory / _FILE).read_text()))


def write(manifest: Manifest, directory: Path) -> None:
    """Write the manifest to a directory."""
    text = json.dumps(asdict(manifest), indent=2, sort_keys=True, ensure_ascii=False)
    (directory / _FILE).write_text(text + "\n")


_REVISION_DIGITS = 16


def revision(tokenizer: Tokenizer, tensors: Mapping[str, NDArray[np.generic]]) -> str:
    """A hash of the tokenizer, without truncation and padding, and of the tensors by their names."""
    digest = hashlib.sha256(tokenizer.to_str().encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor).data)
    return digest.hexdigest()[:_REVISION_DIGITS]


_FINGERPRINT_DIGITS = 12


def fingerprint(manifest: Manifest) -> str:
    """For example "multilingual-e5-small-onnx-int8-3f2a9c01be77": readable, then a hash.

    The hash covers everything that vectors depend on. The versions of the exporter are left out, so
    that a new export with newer versions does not require a new index.
    """
    values = asdict(manifest)
    del values["exporter"]
    stable = json.dumps(values, sort_keys=True, ensure_ascii=False)
    digest = hashlib.sha256(stable.encode()).hexdigest()[:_FINGERPRINT_DIGITS]
    short = manifest.name.rsplit("/", 1)[-1].lower()
    return f"{short}-{manifest.runtime}-{manifest.precision}-{digest}"
