"""Unpacked images whose processes are run: in a chroot, as the image's user, on a read-only root."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.images.archive import Archive
from tools.images.build import tar_of

from tests.support.parts import ROOT, missing

SERVICES = ("embedder", "retriever", "generator", "gateway")


@dataclass(frozen=True)
class ImageRoot:
    """An image and the folder that holds its root file system."""

    image: Archive
    folder: Path

    def command(self, *instead: str) -> tuple[str, ...]:
        """What runs the image's entry point, or another command, as its user, in its folder."""
        config = self.image.config["config"]
        inside = instead or tuple(config["Entrypoint"])
        enter = ("chroot", f"--userspec={config['User']}", str(self.folder))
        return (*enter, "env", f"--chdir={config['WorkingDir']}", *config["Env"], *inside)


def built(services: Sequence[str] = SERVICES) -> dict[str, Archive]:
    """The images, built now if they are not current; without root this is skipped, in CI a failure."""
    if os.geteuid():
        missing("images are unpacked and run by root")
    command = [sys.executable, "-m", "tools.images", *services]
    subprocess.run(command, cwd=ROOT, check=True)
    return {service: Archive(tar_of(service)) for service in services}


@contextmanager
def unpacked(image: Archive, folder: Path, volume: Path) -> Iterator[ImageRoot]:
    """Unpack an image; its root is read-only inside, but for /tmp and the volume, at its own path."""
    folder.mkdir(parents=True)
    image.unpack(folder)
    inside = folder / str(volume).lstrip("/")
    inside.mkdir(parents=True)
    (folder / "tmp").mkdir(exist_ok=True)
    with ExitStack() as stack:
        for source, target, options in (
            (folder, folder, "bind"),
            (folder, folder, "remount,bind,ro"),
            (Path("tmpfs"), folder / "tmp", "mode=1777"),
            (Path("/proc"), folder / "proc", "bind"),
            (Path("/dev"), folder / "dev", "bind"),
            (volume, inside, "bind"),
        ):
            # A volume below /tmp lies in the tmpfs that is mounted there by now.
            target.mkdir(parents=True, exist_ok=True)
            kind = ["-t", "tmpfs"] if source.name == "tmpfs" else []
            _run("mount", *kind, "-o", options, str(source), str(target))
            if not options.startswith("remount"):
                stack.callback(_run, "umount", "--lazy", str(target))
        yield ImageRoot(image, folder)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
