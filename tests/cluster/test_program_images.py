"""Images of other projects' programs run without a root file system of their own."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tools.images.archive import Archive

from tests.support.cluster import program_images as images
from tests.support.cluster.program_images import Program
from tests.support.parts import missing

SHOWN = {
    images.envoy: ("--version", "1.40"),
    images.valkey: ("--version", "9."),
    images.openbao: ("version", "2.7"),
    images.k6: ("version", "1.1"),
    images.qdrant: ("--version", "1.19"),
    images.collector: ("--version", "otelcol"),
    images.tempo: ("-version", "tempo"),
    images.loki: ("-version", "loki"),
}


@pytest.mark.parametrize("make", SHOWN, ids=lambda make: make.__name__)
def test_a_packed_program_runs_in_its_image_as_its_user(
    make: Callable[[], Program], tmp_path: Path
) -> None:
    if os.geteuid():
        missing("chroot needs root")
    program, root = make(), tmp_path / "root"
    root.mkdir()
    image = Archive(images.pack(program, tmp_path / "image.tar"))
    image.unpack(root)
    argument, text = SHOWN[make]
    user = f"--userspec={image.config['config']['User']}"
    command = ["chroot", user, str(root), *image.config["config"]["Entrypoint"], argument]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert text in done.stdout + done.stderr
    assert not (root / "bin/sh").exists()
    assert image.tags == [f"docker.io/{program.tag}"]


def test_an_image_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    one, two = (images.pack(images.valkey(), tmp_path / name) for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
