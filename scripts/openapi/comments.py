"""What the comments in protos/ say of each element of the contract."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import grpc_tools
from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message

PROTOS = Path(__file__).resolve().parents[2] / "protos"

_NAMED = {"message_type", "enum_type", "nested_type", "service", "field", "value", "method"}


def comments() -> dict[str, str]:
    """What stands above each element, by its full name; an enum's value counts as within its enum.

    Lines are joined, and an empty line begins a paragraph.
    """
    found: dict[str, str] = {}
    for file in _sources().file:
        names = dict(_names(file.package, (), file))
        for location in file.source_code_info.location:
            name = names.get(tuple(location.path))
            if name and location.leading_comments:
                found[name] = _paragraphs(location.leading_comments)
    return found


def _sources() -> FileDescriptorSet:
    files = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    # googleapis-common-protos lies there with its sources.
    google = Path(annotations_pb2.__file__).parents[2]
    includes = [PROTOS, google, resources.files(grpc_tools) / "_proto"]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "rag.binpb"
        subprocess.run(
            [
                *(sys.executable, "-m", "grpc_tools.protoc"),
                *(f"-I{path}" for path in includes),
                *("--include_source_info", f"--descriptor_set_out={target}"),
                *files,
            ],
            check=True,
        )
        return FileDescriptorSet.FromString(target.read_bytes())


def _names(
    scope: str, path: tuple[int, ...], element: Message
) -> Iterator[tuple[tuple[int, ...], str]]:
    for field in element.DESCRIPTOR.fields:
        if field.name not in _NAMED:
            continue
        for position, child in enumerate(getattr(element, field.name)):
            here, name = (*path, field.number, position), f"{scope}.{child.name}"
            yield here, name
            yield from _names(name, here, child)


def _paragraphs(comment: str) -> str:
    blocks = "\n".join(line.strip() for line in comment.strip().splitlines()).split("\n\n")
    return "\n\n".join(" ".join(block.split()) for block in blocks)
