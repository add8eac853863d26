"""Random and mutated input. FUZZ_EXAMPLES says how many cases a test tries, where the suite's are too few."""

import os

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))


def examples(usual: int) -> int:
    """How many cases to try: as many as asked for, else the usual number."""
    return EXAMPLES or usual


def at_length() -> bool:
    """Whether fuzzing runs at length, as by `make test-long`."""
    return "FUZZ_EXAMPLES" in os.environ
