"""Qdrant's protobuf messages and stubs, `pb`, from its client library without importing the rest of it.

The library itself imports NumPy, pydantic models of its HTTP API and an engine in memory: 2 seconds, and
60 MB of the image.
"""

import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING


def _load() -> ModuleType:
    """The library's subpackage `grpc`, which imports nothing of the library, as `pb` of this module.

    Its own name would import the library.
    """
    library = find_spec("qdrant_client")
    if library is None or not library.submodule_search_locations:
        raise ModuleNotFoundError("qdrant-client is not installed")
    folder = Path(library.submodule_search_locations[0], "grpc")
    name = f"{__name__}.pb"
    spec = spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"{folder} is not a package")
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if TYPE_CHECKING:
    from qdrant_client import grpc as pb
else:
    pb = _load()

__all__ = ["pb"]
