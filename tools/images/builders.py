"""What builds images from the Dockerfile: Docker where its daemon answers, else buildah in a chroot."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from tools import ROOT
from tools.images.archive import EPOCH


class Builder(Protocol):
    """Builds images on bases that it has loaded."""

    def load(self, archive: Path) -> None:
        """Load a base from an archive."""

    def pull(self, base: str) -> None:
        """Fetch a base from its registry."""

    def python(self, base: str) -> str:
        """The version of the base's `python3`, such as "3.11"."""

    def layers(self, base: str) -> int:
        """The number of the base's layers."""

    def build(self, tag: str, arguments: Mapping[str, str], out: Path) -> None:
        """Build an image, and write it as an archive in Docker's format."""


# What prints the version of a base's Python.
VERSION = ("-c", "import sys; print('%d.%d' % sys.version_info[:2])")


@contextmanager
def builder() -> Iterator[Builder]:
    """What builds on this machine. Raises RuntimeError if there is nothing."""
    if _docker_answers():
        yield Docker()
    elif shutil.which("buildah"):
        # A folder of its own with a random name; /tmp may be memory, and too small for images.
        with TemporaryDirectory(dir="/var/tmp", prefix="rag-images-") as storage:  # nosec B108
            buildah = Buildah(Path(storage))
            try:
                yield buildah
            finally:
                buildah.clear()
    else:
        raise RuntimeError(
            "images are built by Docker with buildx, or by buildah: start Docker, or "
            "apt-get install buildah crun netavark debootstrap"
        )


def _docker_answers() -> bool:
    if not shutil.which("docker"):
        return False
    answers = (["docker", "info"], ["docker", "buildx", "version"])
    return all(subprocess.run(one, capture_output=True).returncode == 0 for one in answers)


class Docker:
    """Docker with buildx; bases and images are those of its daemon."""

    def load(self, archive: Path) -> None:
        """Load a base from an archive."""
        _run("docker", "load", "--quiet", "--input", str(archive))

    def pull(self, base: str) -> None:
        """Fetch a base from its registry."""
        _run("docker", "pull", "--quiet", base)

    def python(self, base: str) -> str:
        """The version of the base's Python."""
        return _run("docker", "run", "--rm", "--entrypoint", "python3", base, *VERSION)

    def layers(self, base: str) -> int:
        """The number of the base's layers."""
        return int(_run("docker", "inspect", "--format", "{{len .RootFS.Layers}}", base))

    def build(self, tag: str, arguments: Mapping[str, str], out: Path) -> None:
        """Build an image, and write it as an archive."""
        output = f"--output=type=docker,name={tag},dest={out},rewrite-timestamp=true"
        command = ("docker", "buildx", "build", "--quiet", "--provenance=false", output)
        _run(*command, *_build_arguments(arguments), str(ROOT))


class Buildah:
    """Buildah without a daemon or a container runtime, with storage of its own below a folder."""

    def __init__(self, storage: Path) -> None:
        self._command = (
            *("buildah", "--root", f"{storage}/images", "--runroot", f"{storage}/run"),
            *("--storage-driver", "overlay"),
        )

    def load(self, archive: Path) -> None:
        """Load a base from an archive."""
        self._run("pull", "--quiet", f"docker-archive:{archive}")

    def pull(self, base: str) -> None:
        """Fetch a base from its registry."""
        self._run("pull", "--quiet", base)

    def python(self, base: str) -> str:
        """The version of the base's Python."""
        container = self._run("from", "--pull-never", base)
        try:
            return self._run("run", "--isolation", "chroot", container, "--", "python3", *VERSION)
        finally:
            self._run("rm", container)

    def layers(self, base: str) -> int:
        """The number of the base's layers."""
        form = "{{len .OCIv1.RootFS.DiffIDs}}"
        return int(self._run("inspect", "--type", "image", "--format", form, base))

    def build(self, tag: str, arguments: Mapping[str, str], out: Path) -> None:
        """Build an image, and write it as an archive."""
        options = ("--isolation", "chroot", "--format", "docker", "--pull-never")
        same = ("--timestamp", str(EPOCH), "--identity-label=false")
        command = ("bud", "--quiet", *options, *same, *_build_arguments(arguments), "--tag", tag)
        self._run(*command, str(ROOT))
        self._run("push", "--quiet", tag, f"docker-archive:{out}:{tag}")
        self._run("rmi", tag)

    def clear(self) -> None:
        """Remove all containers and images, whose storage may be mounted."""
        self._run("rm", "--all")
        self._run("rmi", "--all", "--force")

    def _run(self, *arguments: str) -> str:
        return _run(*self._command, *arguments)


def _build_arguments(arguments: Mapping[str, str]) -> Iterator[str]:
    for name, value in arguments.items():
        yield f"--build-arg={name}={value}"


def _run(*command: str) -> str:
    """The output of a command. Raises RuntimeError with its last lines if it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise RuntimeError(f"{' '.join(command[:2])} failed:\n{said}")
    return done.stdout.strip()
