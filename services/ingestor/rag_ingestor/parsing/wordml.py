"""What the readers of WordprocessingML share: its namespace, values of elements, and styles that inherit."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from lxml import etree

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
VAL = f"{W}val"

T = TypeVar("T")
# A style may be based on itself by way of others.
_MAX_ANCESTORS = 16


def val_of(node: etree._Element | None) -> str:
    """The attribute `val`, empty without it or without the element."""
    return node.get(VAL, "") if node is not None else ""


def inherited(styles: etree._Element, own: Mapping[str, T]) -> dict[str, T]:
    """What each style has by its id: its own, or that of the nearest style that it is based on."""
    parents = {
        style.get(f"{W}styleId", ""): val_of(style.find(f"{W}basedOn"))
        for style in styles.iter(f"{W}style")
    }

    def lineage(name: str) -> Iterator[str]:
        for _ in range(_MAX_ANCESTORS):
            yield name
            name = parents.get(name, "")

    found = {
        name: next((own[one] for one in lineage(name) if one in own), None) for name in parents
    }
    return {name: result for name, result in found.items() if result is not None}
