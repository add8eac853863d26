"""The images that a real node is loaded with: ours, as `make images` built them, under two versions."""

import io
import json
import tarfile
from pathlib import Path

from tests.support.parts import ROOT, missing

SERVICES = ("gateway", "embedder", "retriever", "generator", "ingestor")
_FOLDER = ROOT / "build" / "images"
_MANIFEST = "manifest.json"


def service_images(folder: Path, next_version: str) -> list[Path]:
    """Archives of the services' images, written to `folder`, each under its own version and `next_version`."""
    archives = [_FOLDER / f"rag-{service}.tar" for service in SERVICES]
    absent = [path.name for path in archives if not path.is_file()]
    if absent:
        missing(f"{', '.join(absent)} missing in {_FOLDER}: run make images")
    return [_with_second_tag(path, folder / path.name, next_version) for path in archives]


def _with_second_tag(source: Path, target: Path, version: str) -> Path:
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for entry in old:
            content = old.extractfile(entry)
            if entry.name == _MANIFEST and content:
                content = _renamed(content.read(), version)
                entry.size = len(content.getbuffer())
            new.addfile(entry, content)
    return target


def _renamed(manifest: bytes, version: str) -> io.BytesIO:
    images = json.loads(manifest)
    for image in images:
        name = image["RepoTags"][0].rpartition(":")[0]
        image["RepoTags"].append(f"{name}:{version}")
    return io.BytesIO(json.dumps(images).encode())
