"""Runs `buf breaking` on protos/ against the released contracts; --release records them as released.

The released contracts are a buf image, protos/released.binpb: it needs no history and no network.
"""

import subprocess
import sys
from pathlib import Path

from tools import ROOT
from tools.contracts.stubs import provide_googleapis

# Changes that break callers and are meant, as buf says them. Remove them when the next release is recorded.
# The ingestor has taken over splitting from the retriever (docs/decisions/0018-an-ingestor.md).
_SPLITTING = (
    "ChunkBatch",
    "Outline",
    "SplitDocumentRequest",
    "SplitDocumentResponse",
    "SplitHeader",
)
ACCEPTED = (
    *(f'Previously present message "{name}" was deleted from file.' for name in _SPLITTING),
    'Previously present RPC "SplitDocument" on service "RetrieverService" was deleted.',
)

RELEASED = ROOT / "protos" / "released.binpb"
CURRENT = ROOT / "build" / "contracts.binpb"
_PROGRAM = Path(sys.executable).with_name("buf")


def main() -> int:
    if "--release" in sys.argv:
        return build(RELEASED, "--exclude-source-info")
    return build(CURRENT) or _compare()


def _compare() -> int:
    """Print the changes that break callers, but for those accepted; 1 if there are any."""
    command = ("breaking", str(CURRENT), "--against", str(RELEASED), "--config", "buf.yaml")
    done = subprocess.run(
        [_PROGRAM, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
    refused = [line for line in lines if not line.endswith(ACCEPTED)]
    print(*refused, sep="\n", end="\n" if refused else "")
    return 1 if refused else 0


def build(target: Path, *options: str) -> int:
    """Write the contracts as a buf image; the exit code of `buf build`."""
    provide_googleapis()
    return _buf("build", *options, "--output", str(target))


def _buf(*arguments: str) -> int:
    return subprocess.run([_PROGRAM, *arguments], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
