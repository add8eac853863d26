"""Builds the images of services: fetches wheels, runs a builder, and writes what came of it."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any

from tools import ROOT
from tools.images import archive, base, inputs, sbom, wheels
from tools.images.builders import Builder, builder

IMAGES = ("gateway", "embedder", "embedder-torch", "retriever", "generator", "ingestor")
OUT = ROOT / "build/images"
DIGESTS = OUT / "digests.json"
WHEELS = ROOT / "build/wheels"
# Images that are built at a time: installing and packing each use one core.
_AT_A_TIME = 2
Record = dict[str, Any]


def tar_of(image: str) -> Path:
    """Where the archive of an image is written."""
    return OUT / f"rag-{image}.tar"


def version() -> str:
    """The version of the platform, which its images have as their tag."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def records() -> dict[str, Record]:
    """What is known of the images that were built, by image."""
    return json.loads(DIGESTS.read_text()) if DIGESTS.exists() else {}


def build_all(images: Sequence[str], base_name: str = "", build_base: str = "") -> None:
    """Build the images that are not current, on the base of that name or on our own.

    Raises RuntimeError with a sentence for the user, or subprocess.CalledProcessError.
    """
    if base_name and "@sha256:" not in base_name:
        raise RuntimeError(f"BASE={base_name} has no digest: name it as NAME@sha256:DIGEST")
    OUT.mkdir(parents=True, exist_ok=True)
    known = records()
    hashes = {image: _input_hash(image, base_name, build_base) for image in images}
    stale = [image for image in images if not _current(image, hashes[image], known)]
    for image in set(images) - set(stale):
        print(f"rag-{image}: {known[image]['digest']} is current", flush=True)
    if stale:
        with builder() as tool:
            maker = _Maker(tool, base_name, build_base)
            maker.fetch(stale)
            with ThreadPoolExecutor(_AT_A_TIME) as pool:
                for _ in pool.map(lambda image: maker.make(image, hashes[image]), stale):
                    pass


def _input_hash(image: str, base_name: str, build_base: str) -> str:
    revision = inputs.revision(inputs.of_image(image)).commit
    name = base_name or archive.Archive(base.local_base()).digest
    return inputs.digest(inputs.of_image(image), name, build_base, revision)


def _current(image: str, digest: str, known: Mapping[str, Record]) -> bool:
    return tar_of(image).exists() and known.get(image, {}).get("inputs") == digest


class _Maker:
    """Builds images on one base."""

    def __init__(self, tool: Builder, base_name: str, build_base: str) -> None:
        self._tool = tool
        if base_name:
            tool.pull(base_name)
            self._base, self._digest = base_name, base_name.partition("@")[2]
        else:
            tool.load(base.local_base())
            self._base, self._digest = base.TAG, archive.Archive(base.local_base()).digest
        if build_base:
            tool.pull(build_base)
        self._build_base = build_base or self._base
        self._python, self._layers = tool.python(self._base), tool.layers(self._base)
        self._records = Lock()

    def fetch(self, images: Sequence[str]) -> None:
        """Fetch the wheels that changed; a folder is as its marker says."""
        started = monotonic()
        pip = inputs.digest(("requirements/pip.txt",))
        _once(WHEELS / "pip", pip, lambda: wheels.fetch_pip(self._python, WHEELS / "pip"))
        own = inputs.digest(inputs.SOURCES)
        _once(WHEELS / "own", own, lambda: wheels.pack_own(WHEELS / "own"))
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            list(pool.map(self._fetch, images))
        print(f"wheels: {monotonic() - started:.0f} s", flush=True)

    def make(self, image: str, input_hash: str) -> None:
        """Build an image, write its archive and its record, and print its line."""
        started, tag = monotonic(), f"rag-{image}:{version()}"
        draft, out = OUT / f".rag-{image}.tar", tar_of(image)
        draft.unlink(missing_ok=True)
        out.unlink(missing_ok=True)
        self._tool.build(tag, self._arguments(image), draft)
        digest = archive.normalised(draft, out, tag)
        draft.unlink()
        sbom.write(archive.Archive(out), out.with_suffix(".cdx.json"))
        record = self._record(image, digest) | {"inputs": input_hash}
        self._keep(image, record)
        above = (record["bytes"] - record["base_bytes"]) / 1e6
        took = monotonic() - started
        print(f"{tag}: {digest}, {above:.0f} MB above its base, {took:.0f} s", flush=True)

    def _fetch(self, image: str) -> None:
        lock = inputs.digest((inputs.lock_file(image), "requirements/build.txt"), self._python)
        _once(WHEELS / image, lock, lambda: wheels.fetch(image, self._python, WHEELS / image))

    def _keep(self, image: str, record: Record) -> None:
        with self._records:
            text = json.dumps(records() | {image: record}, indent=2, sort_keys=True)
            DIGESTS.write_text(f"{text}\n")

    def _arguments(self, image: str) -> Mapping[str, str]:
        revision = inputs.revision(inputs.of_image(image))
        return {
            "BASE": self._base,
            "BASE_DIGEST": self._digest,
            "BUILD_BASE": self._build_base,
            "CREATED": revision.created,
            "LICENSES": "NOASSERTION",
            "REVISION": revision.commit,
            "SERVICE": image.partition("-")[0],
            "SOURCE": "",
            "SOURCE_DATE_EPOCH": str(archive.EPOCH),
            "VARIANT": image,
            "VERSION": version(),
        }

    def _record(self, image: str, digest: str) -> Record:
        sizes = [layer.size for layer in archive.Archive(tar_of(image)).layers()]
        return {
            "name": f"rag-{image}:{version()}",
            "digest": digest,
            "base": self._base,
            "base_digest": self._digest,
            "bytes": sum(sizes),
            "base_bytes": sum(sizes[: self._layers]),
        }


def _once(folder: Path, state: str, fill: Any) -> None:
    """Fill a folder unless it was filled from the same inputs."""
    marker = folder.with_suffix(".inputs")
    if not (folder.is_dir() and marker.exists() and marker.read_text() == state):
        fill()
        marker.write_text(state)
