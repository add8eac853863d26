"""Measure the parts of the benchmark one after the other; each one's tables are written when it is done."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rag_local.platform import prepare_model
from rag_local.program import StartFailed
from rag_local.signals import Stopped, stopped_by_signals
from tools.bench.parts import Options, Part, chosen, measure
from tools.bench.report import PAGE, Sections, rendered, update
from tools.bench.tracing import NotInstalled


def main() -> int:
    """Exit code 0; 1 if a part failed or was left out, 2 for an unknown part, 128 + n after signal n."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--part", default="", help="names separated by commas; all by default")
    parser.add_argument("output", nargs="?", type=Path, default=PAGE)
    arguments = parser.parse_args()
    try:
        options = Options.from_environment()
        parts = chosen(arguments.part, options.baseline)
    except ValueError as error:
        return _fail(str(error), 2)
    os.environ["EMBEDDER_MODELS_DIR"] = str(options.models)
    try:
        with stopped_by_signals():
            prepare_model()
            left_out = _measure_all(parts, options, arguments.output)
    except (StartFailed, subprocess.CalledProcessError, OSError) as error:
        return _fail(str(error), 1)
    except Stopped as stopped:
        return _fail(f"stopped by {stopped}", stopped.code)
    return _fail(f"not measured: {', '.join(left_out)}", 1) if left_out else 0


def _measure_all(parts: Sequence[Part], options: Options, output: Path) -> list[str]:
    """Measure each part; the names of those that were left out because a program is not installed.

    Raises StartFailed or CalledProcessError if a part fails otherwise.
    """
    left_out = []
    for number, part in enumerate(parts, 1):
        name = f"[{number}/{len(parts)}] {part.name}"
        sys.stderr.write(f"{name}: {part.says} …\n")
        began = time.monotonic()
        try:
            measure(part, options, lambda found: _write(found, options, output))
        except NotInstalled as error:
            _fail(f"{part.name} is left out: {error}", 1)
            left_out.append(part.name)
            continue
        sys.stderr.write(f"{name}: done after {time.monotonic() - began:.0f} s\n")
    return left_out


def _write(found: Sections, options: Options, output: Path) -> None:
    """Print tables, and put them into the page; those of a comparison with a baseline are only printed."""
    tables = {title: rendered(rows) for title, rows in found.items()}
    if not options.baseline:
        update(output, tables)
    for title, body in tables.items():
        print(f"\n## {title}\n\n{body}", flush=True)


def _fail(reason: str, code: int) -> int:
    sys.stderr.write(f"make bench: {reason}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
