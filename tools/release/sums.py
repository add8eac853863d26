"""SHA256SUMS: the hashes of a folder's files, in the form that `sha256sum --check` reads."""

import hashlib
from pathlib import Path

NAME = "SHA256SUMS"


def sha256(path: Path) -> str:
    """The hash of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sums(folder: Path) -> Path:
    """Write the hashes of all files of a folder, in the order of their names."""
    files = sorted(path for path in folder.iterdir() if path.name != NAME)
    target = folder / NAME
    target.write_text("".join(f"{sha256(path)}  {path.name}\n" for path in files), "utf-8")
    return target


def wrong_files(folder: Path) -> list[str]:
    """The files that have another hash than is written, that are missing, or that are not listed."""
    lines = (folder / NAME).read_text("utf-8").splitlines()
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    present = {path.name: path for path in folder.iterdir() if path.name != NAME}
    return sorted(
        name
        for name in listed.keys() | present.keys()
        if name not in present or listed.get(name) != sha256(present[name])
    )
