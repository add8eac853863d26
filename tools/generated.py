"""Files that are generated from the code: written, or with --check only compared."""

import sys
from collections.abc import Mapping
from pathlib import Path

from tools import ROOT


def write_or_check(files: Mapping[Path, str | bytes], command: str) -> int:
    """Write the files; with --check, name those that are not current, and return 1 if there is one."""
    contents = {
        path: text.encode() if isinstance(text, str) else text for path, text in files.items()
    }
    if "--check" not in sys.argv:
        for path, content in contents.items():
            path.write_bytes(content)
        return 0
    stale = [
        path
        for path, content in contents.items()
        if not (path.is_file() and path.read_bytes() == content)
    ]
    for path in stale:
        sys.stderr.write(f"{path.relative_to(ROOT)} is not current; run `{command}`\n")
    return 1 if stale else 0
