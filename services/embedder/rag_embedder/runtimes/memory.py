"""Memory that loading has freed, back to the operating system."""

import ctypes
import sys


def release_unused() -> None:
    """Return freed memory to the system; on Linux only, and with the GNU C library.

    It keeps freed blocks below the top of its heap for later. Loading a model and an analyzer leaves
    some 25 MiB of them, which the service never needs again.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim:
            trim(0)
