"""What the comments in protos/ say of each element of the contract."""

from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message

from tools.contracts.descriptors import PROTOS, descriptor_set

_NAMED = {"message_type", "enum_type", "nested_type", "service", "field", "value", "method"}


def comments() -> dict[str, str]:
    """What stands above each element, by its full name; an enum's value counts as within its enum.

    Lines are joined, and an empty line begins a paragraph.
    """
    result: dict[str, str] = {}
    files = sorted(PROTOS.rglob("*.proto"))
    sources = FileDescriptorSet.FromString(descriptor_set(files, "--include_source_info"))
    for file in sources.file:
        names = dict(_names(file.package, (), file))
        for location in file.source_code_info.location:
            name = names.get(tuple(location.path))
            if name and location.leading_comments:
                result[name] = _paragraphs(location.leading_comments)
    return result


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
