"""Optional parts that some tests need: there in CI, and named on a laptop that lacks them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

from rag_local.program import find_program

ROOT = Path(__file__).resolve().parents[2]


def missing(sentence: str) -> NoReturn:
    """Fail in CI, skip elsewhere: the test, or the module that asks on import."""
    if os.environ.get("CI") == "true":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence, allow_module_level=True)


def require(module: str, install: str) -> Path:
    """The folder of a top-level module, which is found and not imported.

    Where it is missing, CI fails; elsewhere the test, or the module that asks on import, is
    skipped with `install`: the command that gets the part.
    """
    spec = find_spec(module)
    if spec and spec.origin:
        return Path(spec.origin).parent
    missing(f"{module} is missing: {install}")


def tool(names: str | Sequence[str], install: str) -> str:
    """The path of a program, the first of `names`, beside this interpreter or on the PATH.

    Where none is there, as `require`.
    """
    path = find_program(names)
    if path:
        return path
    missing(f"{names if isinstance(names, str) else ' or '.join(names)} is missing: {install}")


def server(variable: str, name: str) -> str:
    """The path of a server program that no package brings, which the environment variable gives.

    Where the variable is not set, as `require`. Fails if it is set and names no program: a wrong
    path is never a reason to skip.
    """
    given = os.environ.get(variable, "")
    if not given:
        missing(f"{name} is missing: set {variable} to the path of its program")
    result = shutil.which(given)
    if not result:
        pytest.fail(f"{variable} is {given}, which is no program", pytrace=False)
    return str(Path(result).absolute())


@cache
def prepared_models() -> Path:
    """The folder of the embedding model, prepared."""
    folder = Path(os.environ.get("EMBEDDER_MODELS_DIR") or ROOT / ".rag" / "models").resolve()
    command = [sys.executable, "-m", "rag_embedder.models.prepare_model"]
    subprocess.run(command, env={**os.environ, "EMBEDDER_MODELS_DIR": str(folder)}, check=True)
    return folder
