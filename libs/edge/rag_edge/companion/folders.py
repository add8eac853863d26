"""A folder of tls.crt, tls.key and ca.crt whose three files are replaced at once."""

import os
import shutil
import tempfile
import time
from pathlib import Path

from cryptography import x509

from rag_common.security.certificates import Certificate

# As in Kubernetes' volumes of Secrets: files are links through this one, which is what changes.
_CURRENT = "..data"
_VERSION = "..version-"


def write_certificate(folder: Path, certificate: Certificate) -> None:
    """Replace the folder's certificate: a reader sees the old files or the new ones.

    The key is readable by owner and group, as Envoy may run as another user of the pod's group.
    Raises OSError.
    """
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    version = Path(tempfile.mkdtemp(prefix=_VERSION, dir=folder))
    version.chmod(0o750)
    files = {"tls.crt": certificate.chain, "tls.key": certificate.key, "ca.crt": certificate.roots}
    for name, content in files.items():
        _write(version / name, content, 0o640 if name == "tls.key" else 0o644)
    # Where there are files of another kind, Envoy reads the new ones once their directory is renamed.
    for name in files:
        if not folder.joinpath(name).is_symlink():
            _link(folder / name, f"{_CURRENT}/{name}")
    _link(folder / _CURRENT, version.name)
    for old in set(folder.glob(f"{_VERSION}*")) - {version}:
        shutil.rmtree(old)


def seconds_left(folder: Path) -> float:
    """Seconds until the folder's certificate expires; 0 if it has, or if there is none."""
    try:
        certificate = x509.load_pem_x509_certificate((folder / "tls.crt").read_bytes())
    except (OSError, ValueError):
        return 0.0
    return max(certificate.not_valid_after_utc.timestamp() - time.time(), 0.0)


def _write(path: Path, content: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)


def _link(path: Path, target: str) -> None:
    """Create the link, or replace what is there, by a rename."""
    new = path.with_name(f"..new-{path.name}")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(path)
