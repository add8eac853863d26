"""The images of this repository, built for tests that unpack and run them."""

import os
import subprocess
import sys
from collections.abc import Sequence

from tools.images.archive import Archive
from tools.images.build import tar_of

from tests.support.parts import ROOT, missing

SERVICES = ("embedder", "retriever", "generator", "ingestor", "gateway")


def built(services: Sequence[str] = SERVICES) -> dict[str, Archive]:
    """The images, built now if they are not current; without root this is skipped, in CI a failure."""
    if os.geteuid():
        missing("images are unpacked and run by root")
    command = [sys.executable, "-m", "tools.images", *services]
    subprocess.run(command, cwd=ROOT, check=True)
    return {service: Archive(tar_of(service)) for service in services}
