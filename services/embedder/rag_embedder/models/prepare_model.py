"""Prepares a model for the onnx runtime, once: python -m rag_embedder.models.prepare_model [--model NAME]."""

import argparse
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import Literal

from rag_common.settings import SettingsInvalid
from rag_embedder.models import checksums
from rag_embedder.settings import Settings

# Packages of the extra `models`, by the module that each provides.
_MODELS = {
    "torch": "torch",
    "sentence_transformers": "sentence-transformers",
    "transformers": "transformers",
}
BUILT_IN = "multilingual-e5-small"
# What a prepared built-in model has beside `tokenizer.json`, to be read in its place: the pieces of the
# vocabulary, and the normalizer, special tokens and post-processor.
PIECES, FRAME = "sentencepiece.model", "sentencepiece.json"

Precision = Literal["int8", "fp32"]


def require_models(what: str) -> None:
    """Raise SettingsInvalid if packages of the extra `models` are missing, naming them.

    `what` is the setting that needs them with its value; the message begins with it.
    """
    missing = [package for module, package in _MODELS.items() if find_spec(module) is None]
    if missing:
        raise SettingsInvalid(
            f"{what} needs {' and '.join(missing)}, not installed: run `make models`, or "
            f"pip install 'rag-platform[models]' (only the built-in model on the onnx runtime "
            f"does not need it)"
        )


def prepared_directory(models_dir: Path, model: str, precision: str) -> Path:
    """The directory of the prepared model: one for each model and precision."""
    return models_dir / f"{model.strip('/').replace('/', '--')}-{precision}"


def is_prepared(directory: Path, model: str) -> bool:
    """Whether the directory holds the model as this version prepares it.

    Earlier versions did not write the pieces of the built-in model apart: such a directory can be
    used, and then takes 230 MiB more memory. Nor did they write hashes.
    """
    if model != BUILT_IN:
        return directory.is_dir()
    return has_pieces(directory) and checksums.exist(directory)


def has_pieces(directory: Path) -> bool:
    """Whether the model in the directory was prepared with its pieces in a file of their own."""
    return (directory / PIECES).is_file()


def require_source(model: str, what: str = "EMBEDDER_MODEL") -> bool:
    """Whether sentence-transformers is to load `model` without a request to the hub.

    Raises SettingsInvalid, whose message begins with the setting `what`, if a package of the extra
    `models` is missing, or if the model is neither a folder, nor cached, nor on the hub.
    """
    require_models(f"{what} {model}")
    if model == BUILT_IN:
        return True
    from rag_embedder.models.hub import cached_only

    return cached_only(model, what)


def source(models_dir: Path, model: str) -> Path | str:
    """The name or folder from which sentence-transformers loads the model; writes the built-in one once."""
    if model != BUILT_IN:
        return Path(model) if Path(model).is_dir() else model
    from rag_embedder.models.checkpoint import build

    return build(models_dir / BUILT_IN)


def main() -> int:
    """Prepare the model of the settings or of the arguments, printing each step to stderr."""
    try:
        _main(Settings.load())
    except (SettingsInvalid, OSError) as error:
        return _failed(error)
    return 0


def _failed(error: Exception) -> int:
    sys.stderr.write(f"{' '.join(str(error).split())}\n")
    return 2


def _main(settings: Settings) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m rag_embedder.models.prepare_model", description=__doc__
    )
    parser.add_argument("--model", default=settings.model)
    parser.add_argument("--precision", default=settings.precision, choices=["int8", "fp32"])
    parser.add_argument("--models-dir", type=Path, default=settings.models_dir)
    args = parser.parse_args()
    target = prepared_directory(args.models_dir, args.model, args.precision)
    progress = _Progress(args.model)
    damaged = checksums.damaged(target)
    if damaged:
        progress.step(f"{', '.join(damaged)} in {target} is damaged: preparing it anew")
    elif is_prepared(target, args.model):
        sys.stderr.write(f"model {args.model} ({args.precision}) is ready\n")
        return
    if damaged or args.model == BUILT_IN:
        # Or one of an earlier version. A process that has loaded it does not read it again.
        shutil.rmtree(target, ignore_errors=True)
    if args.model == BUILT_IN:
        _prepare_built_in(progress, args.precision, target)
    else:
        _prepare_other(progress, args.model, args.precision, target)
    megabytes = sum(file.stat().st_size for file in target.iterdir()) / 1e6
    progress.step(f"ready in {target} ({megabytes:.0f} MB)")


class _Progress:
    """Prints each step with the seconds since the start."""

    def __init__(self, model: str) -> None:
        self._model, self._started = model, monotonic()

    def step(self, step: str) -> None:
        """Print a step to stderr."""
        sys.stderr.write(f"[{monotonic() - self._started:5.1f} s] model {self._model}: {step}\n")


def _prepare_built_in(progress: _Progress, precision: Precision, target: Path) -> None:
    from rag_embedder.models.onnx_bert import export
    from rag_embedder.models.weights import WeightsError

    progress.step(f"writing an ONNX graph in {precision} from its weights (once; about 10 seconds)")
    try:
        export(target, precision)
    except WeightsError as error:
        raise SettingsInvalid(f"EMBEDDER_MODEL {BUILT_IN}: {error}") from error


def _prepare_other(progress: _Progress, model: str, precision: Precision, target: Path) -> None:
    cached = require_source(model)
    progress.step("loading it" if cached else "fetching it from the hub")
    from rag_embedder.models.biencoder import UnsupportedModelError
    from rag_embedder.models.export import export

    try:
        export(Path(model) if Path(model).is_dir() else model, target, precision, cached=cached)
    except UnsupportedModelError as error:
        raise SettingsInvalid(f"EMBEDDER_MODEL {model}: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
