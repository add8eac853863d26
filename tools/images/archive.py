"""Image archives in Docker's format: written with the same bytes for the same content, and read."""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

# The date of all files in images, and of the images: 1980-01-01, the oldest date of a zip file.
EPOCH = 315532800
_CREATED = "1980-01-01T00:00:00Z"


@dataclass(frozen=True)
class Layer:
    """A layer of an image: its name in the archive, the digest of its content, and the bytes of its files."""

    name: str
    digest: str
    size: int


class Archive:
    """An archive with one image. Raises KeyError where it is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with tarfile.open(path) as files:
            (manifest,) = json.loads(_read(files, "manifest.json"))
            config = _read(files, manifest["Config"])
        self._layers: Sequence[str] = manifest["Layers"]
        self.tags: Sequence[str] = manifest["RepoTags"]
        self.digest = _sha256(config)
        self.config: dict[str, Any] = json.loads(config)

    def layers(self) -> Iterator[Layer]:
        """The layers, lowest first."""
        digests = self.config["rootfs"]["diff_ids"]
        for name, digest in zip(self._layers, digests, strict=True):
            with self._open(name) as layer:
                yield Layer(name, digest, sum(member.size for member in layer))

    def unpack(self, folder: Path) -> None:
        """Unpack the root file system, with owners and modes, into an empty folder; needs root."""
        for name in self._layers:
            with self._open(name) as layer:
                for member in layer:
                    if Path(member.name).name.startswith(".wh."):
                        raise ValueError(f"{self.path}: a layer deletes {member.name}")
                    layer.extract(member, folder, numeric_owner=True, filter="fully_trusted")

    def read(self, pattern: str) -> Iterator[tuple[str, bytes]]:
        """Path and content of each file whose path matches, of all layers from the lowest."""
        for name in self._layers:
            with self._open(name) as layer:
                for member in layer:
                    if member.isfile() and Path(member.name).match(pattern):
                        yield member.name, _content(layer, member)

    @contextmanager
    def _open(self, name: str) -> Iterator[tarfile.TarFile]:
        with tarfile.open(self.path) as files:
            content = files.extractfile(_resolved(files, name))
            with tarfile.open(fileobj=content) as layer:
                yield layer


def _resolved(files: tarfile.TarFile, name: str) -> tarfile.TarInfo:
    """A layer that occurs twice is a link in some archives."""
    member = files.getmember(name)
    if member.issym():
        return files.getmember(str((Path(name).parent / member.linkname).as_posix()))
    return member


def _read(files: tarfile.TarFile, name: str) -> bytes:
    return _content(files, files.getmember(name))


def _content(files: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = files.extractfile(member)
    assert content  # noqa: S101  # a file
    return content.read()


def pack_folder(folder: Path, layer: Path) -> None:
    """Write a layer of all that lies in the folder, with owners and modes, in the order of the names."""
    with tarfile.open(layer, "w", format=tarfile.GNU_FORMAT) as files:
        for path in sorted(folder.rglob("*")):
            member = files.gettarinfo(path, str(path.relative_to(folder)))
            member.mtime, member.uname, member.gname = EPOCH, "", ""
            with path.open("rb") if member.isfile() else io.BytesIO() as content:
                files.addfile(member, content)


def write(path: Path, tag: str, layer: Path, config: Mapping[str, object]) -> str:
    """Write an image of one layer, a tar file; `config` is how it runs. Gives its digest."""
    with layer.open("rb") as content:
        diff = f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"
        content.seek(0)
        size = layer.stat().st_size
        return _write(path, tag, config, [(diff, content, size)])


def normalised(built: Path, path: Path, tag: str) -> str:
    """Write an image anew without empty layers and what a builder notes of itself. Gives its digest.

    Builders add their container's name and id to the configuration, which differ at each build.
    """
    image = Archive(built)
    config = {key: value for key, value in image.config["config"].items() if key in _KEPT and value}
    kept = [layer for layer in image.layers() if layer.size]
    with ExitStack() as stack:
        files = stack.enter_context(tarfile.open(built))
        parts = []
        for layer in kept:
            content = files.extractfile(_resolved(files, layer.name))
            assert content  # noqa: S101  # a file
            parts.append((layer.digest, content, _resolved(files, layer.name).size))
        return _write(path, tag, config, parts)


_KEPT = ("Cmd", "Entrypoint", "Env", "Labels", "StopSignal", "User", "WorkingDir")
_Part = tuple[str, IO[bytes], int]


def _write(path: Path, tag: str, config: Mapping[str, object], layers: Sequence[_Part]) -> str:
    image = {
        "architecture": _ARCHITECTURES[platform.machine()],
        "os": "linux",
        "created": _CREATED,
        "config": config,
        "history": [{"created": _CREATED, "created_by": "tools/images"}] * len(layers),
        "rootfs": {"type": "layers", "diff_ids": [digest for digest, _, _ in layers]},
    }
    text = json.dumps(image, sort_keys=True).encode()
    names = [f"{digest.removeprefix('sha256:')}.tar" for digest, _, _ in layers]
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [tag], "Layers": names}]).encode()
    with tarfile.open(path, "w") as files:
        _add(files, "config.json", io.BytesIO(text), len(text))
        for name, (_, content, size) in zip(names, layers, strict=True):
            _add(files, name, content, size)
        _add(files, "manifest.json", io.BytesIO(manifest), len(manifest))
    return _sha256(text)


_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def _add(files: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    files.addfile(member, content)


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
