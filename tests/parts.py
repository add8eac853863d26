"""Optional parts that some tests need: there in CI, and named on a laptop that lacks them."""

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest


def require(module: str, install: str) -> Path:
    """The folder of a top-level module, which is found and not imported.

    Where it is missing, CI fails; elsewhere the test, or the module that asks on import, is
    skipped with `install`: the command that gets the part.
    """
    spec = find_spec(module)
    if spec and spec.origin:
        return Path(spec.origin).parent
    sentence = f"{module} is missing: {install}"
    if os.environ.get("CI") == "true":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence, allow_module_level=True)


def tool(name: str, install: str) -> str:
    """The path of a program beside this interpreter or on the PATH; where it is missing, as `require`."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found:
        return found
    sentence = f"{name} is missing: {install}"
    if os.environ.get("CI") == "true":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence, allow_module_level=True)
