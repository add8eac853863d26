"""The software bill of materials of an image, as CycloneDX: Python packages, and Debian's of the base."""

from collections.abc import Iterator
from datetime import UTC, datetime
from email.parser import HeaderParser
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from tools.images.archive import EPOCH, Archive


def write(image: Archive, path: Path) -> None:
    """Write the list of the image's packages, the same bytes for the same image."""
    root, packages = _image(image), [*_python(image), *_debian(image)]
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, image.digest), components=packages)
    bom.metadata.component = root
    bom.metadata.timestamp = datetime.fromtimestamp(EPOCH, UTC)
    bom.register_dependency(root, packages)
    path.write_text(JsonV1Dot6(bom).output_as_string(indent=2) + "\n")


def _image(image: Archive) -> Component:
    name, _, version = image.tags[0].rpartition(":")
    purl = PackageURL("oci", None, name.rpartition("/")[2], image.digest)
    kind, reference = ComponentType.CONTAINER, purl.to_string()
    return Component(name=name, version=version, type=kind, purl=purl, bom_ref=reference)


def _python(image: Archive) -> Iterator[Component]:
    for _, content in image.read("opt/rag/*.dist-info/METADATA"):
        fields = HeaderParser().parsestr(content.decode("utf-8"))
        yield _component("pypi", None, fields["Name"], fields["Version"])


def _debian(image: Archive) -> Iterator[Component]:
    for _, content in image.read("var/lib/dpkg/status"):
        for block in content.decode("utf-8").strip().split("\n\n"):
            fields = HeaderParser().parsestr(block)
            if "installed" in fields["Status"].split():
                yield _component("deb", "debian", fields["Package"], fields["Version"])


def _component(kind: str, namespace: str | None, name: str, version: str) -> Component:
    purl = PackageURL(kind, namespace, name, version)
    reference = purl.to_string()
    return Component(
        name=name, version=version, type=ComponentType.LIBRARY, purl=purl, bom_ref=reference
    )
