"""Writes build/release/VERSION: images, their contents, the chart, provenance, hashes and notes.

Run it by `make release`, which checks the checkout and builds the images first. Nothing is
published, and nothing is signed: that is done by .github/workflows/release.yaml.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import yaml

from tools import ROOT
from tools.chart.package import SOURCE
from tools.release.changelog import release_notes
from tools.release.chart import package_chart
from tools.release.provenance import statement
from tools.release.sums import sha256, write_sums

IMAGES = ROOT / "build" / "images"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def main() -> int:
    options = _options()
    started = datetime.now(UTC)
    pushed = options.digests is not None
    digests = read_digests(options.digests or IMAGES / "digests.json", services(ROOT))
    folder = ROOT / "build" / "release" / options.version
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for image in digests:
        _copy_image(image, folder, archive=not pushed)
    by_service = {name: digests[name] for name in sorted(services(ROOT))}
    archive = package_chart(folder, by_service, options.registry)
    _write(folder, "digests.json", {name: {"digest": one} for name, one in digests.items()})
    notes = release_notes((ROOT / "CHANGELOG.md").read_text("utf-8"), options.version)
    (folder / "NOTES.md").write_text(notes, "utf-8")
    subjects = {f"rag-{name}": digest for name, digest in digests.items()}
    subjects[archive.name] = sha256(archive)
    about = statement(options.version, _source(), subjects, ROOT / "requirements", started)
    _write(folder, "provenance.json", about)
    write_sums(folder)
    print(
        f"{folder.relative_to(ROOT)}: {len(list(folder.iterdir()))} files. Nothing is signed or published."
    )
    return 0


def services(root: Path) -> set[str]:
    """The names of the services; each has an image."""
    return {path.name for path in (root / "services").iterdir() if path.is_dir()}


def read_digests(path: Path, expected: set[str]) -> dict[str, str]:
    """The digest of every image, from records as `make images` writes them.

    Raises `ValueError` if a service has none, or if one has not the form of a digest.
    """
    records: dict[str, dict[str, str]] = json.loads(path.read_text("utf-8"))
    digests = {image: record.get("digest", "") for image, record in records.items()}
    wrong = [image for image, digest in digests.items() if not _DIGEST.fullmatch(digest)]
    if wrong or expected - digests.keys():
        names = ", ".join(sorted({*wrong, *(expected - digests.keys())}))
        raise ValueError(f"{path.name} has no digest of the form sha256:… for {names}")
    return digests


def _copy_image(image: str, folder: Path, *, archive: bool) -> None:
    """The image's lists of contents (CycloneDX), and its archive unless it was pushed already."""
    name = f"rag-{image}"
    contents = [*IMAGES.glob(f"{name}.cdx.json"), *IMAGES.glob(f"{name}.*.cdx.json")]
    if not contents:
        raise FileNotFoundError(f"{IMAGES / name}.cdx.json: run `make images`")
    for path in [*contents, IMAGES / f"{name}.tar"] if archive else contents:
        shutil.copy2(path, folder)


def _source() -> dict[str, str]:
    command = ["git", "rev-parse", "HEAD"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    repository = yaml.safe_load((SOURCE / "Chart.yaml").read_text("utf-8"))["home"]
    return {"repository": repository, "commit": done.stdout.strip()}


def _write(folder: Path, name: str, content: Mapping[str, object]) -> None:
    text = json.dumps(content, indent=2, sort_keys=True)
    (folder / name).write_text(f"{text}\n", "utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.release", description=__doc__)
    parser.add_argument("version")
    parser.add_argument("--digests", type=Path, help="digests of images that are pushed already")
    parser.add_argument("--registry", default="", help="registry and path to write into the values")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
