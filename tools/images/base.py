"""The base that images are built on if BASE names none: Debian with Python and CA certificates, nothing else.

It is made once by debootstrap, which needs root, and kept below build/. The same packages give the
same bytes. DEBIAN_MIRROR=URL in the environment replaces Debian's mirror. Production may prefer a base that
somebody maintains: BASE=NAME@sha256:DIGEST.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tools import ROOT
from tools.images import archive

SUITE = "bookworm"
TAG = f"localhost/rag-base:{SUITE}"
PATH = ROOT / "build/images/base" / f"{SUITE}.tar"
_PACKAGES = "python3,ca-certificates"
# What a container has no use for, beside what other packages need.
_PURGED = (
    "apt", "libapt-pkg6.0", "gpgv", "e2fsprogs", "logsave", "libext2fs2", "libss2", "mount", "util-linux-extra",
    "usr-is-merged", "tzdata",
)  # fmt: skip
_REMOVED = (
    "var/cache/*", "var/log/*", "var/lib/apt", "var/lib/dpkg/*-old", "var/backups/*", "tmp/*", "run/*",
    "etc/*-", "etc/apt", "etc/hostname", "etc/resolv.conf", "etc/machine-id", "etc/.pwd.lock",
    "usr/share/doc/*/[!c]*", "usr/share/doc/*/changelog*", "usr/share/man", "usr/share/info",
    "usr/share/locale", "usr/share/lintian", "usr/share/bug", "dev/*",
)  # fmt: skip


def local_base() -> Path:
    """The archive of the base, made if it is not there. Raises RuntimeError without root or debootstrap."""
    if not PATH.exists():
        if os.geteuid() or not shutil.which("debootstrap"):
            raise RuntimeError(
                "the base of the images is made by debootstrap, as root: install it "
                "(apt-get install debootstrap), or name a base: BASE=NAME@sha256:DIGEST"
            )
        shutil.rmtree(PATH.parent, ignore_errors=True)
        PATH.parent.mkdir(parents=True)
        make(PATH)
    return PATH


def make(path: Path) -> None:
    """Write the archive of the base to `path`, in an empty folder; needs root and debootstrap."""
    root = path.parent / "root"
    mirror = [os.environ["DEBIAN_MIRROR"]] if "DEBIAN_MIRROR" in os.environ else []
    include = f"--include={_PACKAGES}"
    print("making the base: debootstrap (once; about a minute)", flush=True)
    with (path.parent / "debootstrap.log").open("w") as log:
        command = ["debootstrap", "--variant=minbase", include, SUITE, str(root), *mirror]
        subprocess.run(command, stdout=log, stderr=log, check=True)
    _clean(root)
    layer = path.with_suffix(".layer")
    archive.pack_folder(root, layer)
    draft = path.with_suffix(".draft")
    archive.write(draft, TAG, layer, {"Env": [f"PATH={_SEARCHED}"], "Cmd": ["python3"]})
    layer.unlink()
    shutil.rmtree(root)
    draft.rename(path)


_SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _clean(root: Path) -> None:
    """Remove what is not needed, what differs each time, and the rights of setuid files."""
    _run(root, "dpkg", "--purge", "--force-remove-essential", "--force-depends", *_PURGED)
    for pattern in _REMOVED:
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    shadow = root / "etc/shadow"
    shadow.write_text(re.sub(r":\*:\d+:", ":*:1:", shadow.read_text()))
    for path in _plain_files(root):
        path.chmod(path.stat().st_mode & 0o1777)
    _compile(root)


def _compile(root: Path) -> None:
    for path in [*(root / "usr/lib").rglob("__pycache__")]:
        shutil.rmtree(path)
    compiler = ["python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    _run(root, *compiler, *(f"/{one.relative_to(root)}" for one in root.glob("usr/lib/python3*")))


def _plain_files(root: Path) -> Iterator[Path]:
    return (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())


def _run(root: Path, *command: str) -> None:
    environment = {"PATH": _SEARCHED, "PYTHONHASHSEED": "0", "DEBIAN_FRONTEND": "noninteractive"}
    inside = ("chroot", str(root), *command)
    done = subprocess.run(inside, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(inside[:3])} failed:\n{done.stdout}{done.stderr}")
