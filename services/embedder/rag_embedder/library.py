"""Gets a model ready for the onnx runtime, once: python -m rag_embedder.library [--model NAME]."""

import argparse
import sys
from pathlib import Path
from time import monotonic
from typing import Literal

from rag_common.settings import SettingsInvalid
from rag_embedder.settings import Settings

BUILT_IN = "multilingual-e5-small"


def prepared(models_dir: Path, model: str, precision: str) -> Path:
    """The folder where the model lies when it is ready: one for each model and precision."""
    return models_dir / f"{model.strip('/').replace('/', '--')}-{precision}"


def source(models_dir: Path, model: str) -> Path | str:
    """Where sentence-transformers finds the model: the built-in one is made on first use."""
    if model != BUILT_IN:
        return Path(model) if Path(model).is_dir() else model
    from rag_embedder.bundled import build

    return build(models_dir / BUILT_IN)


def main() -> int:
    """Prepare the model of the settings, or the one named, saying what is done."""
    try:
        return _main(Settings.load())
    except (SettingsInvalid, OSError) as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return 2


def _main(settings: Settings) -> int:
    parser = argparse.ArgumentParser(prog="python -m rag_embedder.library", description=__doc__)
    parser.add_argument("--model", default=settings.model)
    parser.add_argument("--precision", default=settings.precision, choices=["int8", "fp32"])
    parser.add_argument("--models-dir", type=Path, default=settings.models_dir)
    given = parser.parse_args()
    target = prepared(given.models_dir, given.model, given.precision)
    if target.is_dir():
        sys.stderr.write(f"model {given.model} ({given.precision}) is ready\n")
        return 0
    _prepare(given.models_dir, given.model, given.precision, target)
    return 0


def _prepare(
    models_dir: Path, model: str, precision: Literal["int8", "fp32"], target: Path
) -> None:
    started = monotonic()

    def say(step: str) -> None:
        sys.stderr.write(f"[{monotonic() - started:5.1f} s] {step}\n")

    say(f"model {model}: reading the weights (once; some 20 s for the built-in model)")
    found = source(models_dir, model)
    say(f"model {model}: exporting to ONNX {precision}")
    from rag_embedder.export import export

    export(found, target, precision)
    say(f"model {model}: ready in {target}")


if __name__ == "__main__":
    sys.exit(main())
