"""Durations as readable text."""

import math

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def format_duration(seconds: float) -> str:
    """A duration in its two largest units, rounded up: 0.4 s, 50 s, 3 min 20 s, 2 h 5 min, 90 d."""
    if seconds < 10:
        return f"{math.ceil(round(seconds * 10, 3)) / 10:g} s"
    left, parts = math.ceil(seconds), []
    for name, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])
