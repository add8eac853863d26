"""Runs `buf breaking` on protos/ against the released contracts; --release records them as released.

The released contracts are a buf image, protos/released.binpb: it needs no history and no network.
"""

import subprocess
import sys
from pathlib import Path

from tools import ROOT
from tools.contracts.stubs import provide_googleapis

RELEASED = ROOT / "protos" / "released.binpb"
CURRENT = ROOT / "build" / "contracts.binpb"


def main() -> int:
    if "--release" in sys.argv:
        return build(RELEASED, "--exclude-source-info")
    return build(CURRENT) or _buf(
        *("breaking", str(CURRENT), "--against", str(RELEASED)),
        *("--config", str(ROOT / "buf.yaml")),
    )


def build(target: Path, *options: str) -> int:
    """Write the contracts as a buf image; the exit code of `buf build`."""
    provide_googleapis()
    return _buf("build", *options, "--output", str(target))


def _buf(*arguments: str) -> int:
    program = Path(sys.executable).with_name("buf")
    return subprocess.run([program, *arguments], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
