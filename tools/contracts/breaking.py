"""Whether the contracts in protos/ break a caller of the released ones; --release notes them as released.

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
    provide_googleapis()
    if "--release" in sys.argv:
        return _buf("build", "--exclude-source-info", "--output", str(RELEASED))
    return _buf("build", "--output", str(CURRENT)) or _buf(
        *("breaking", str(CURRENT), "--against", str(RELEASED)),
        *("--config", str(ROOT / "buf.yaml")),
    )


def _buf(*arguments: str) -> int:
    program = Path(sys.executable).with_name("buf")
    return subprocess.run([program, *arguments], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
