"""Builds images into build/images: python -m tools.images [IMAGE...], all services without a name.

BASE=NAME@sha256:DIGEST in the environment builds on another base than Debian's packages; BUILD_BASE
on what it is assembled. An image whose inputs did not change is not built again.
"""

import os
import signal
import subprocess
import sys

from tools.images.build import IMAGES, build_all


def main() -> int:
    """Build the images that are named."""
    names = sys.argv[1:] or [name for name in IMAGES if "-" not in name]
    if unknown := sorted(set(names) - set(IMAGES)):
        sys.stderr.write(f"there is no image {', '.join(unknown)}: {', '.join(IMAGES)}\n")
        return 2
    # What is mounted while images are built is unmounted when this is ended, too.
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    try:
        build_all(names, os.environ.get("BASE", ""), os.environ.get("BUILD_BASE", ""))
    except (RuntimeError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
