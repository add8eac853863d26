"""Look for what is unsafe: in the code, in what is committed, in what is installed; one line for each check."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import transient_settings

from tools import ROOT
from tools.lock import OWN

CODE = ("libs", "services", "tools")
# Its patterns leave out two trace ids of W3C's examples, names of methods, and errors in base64.
BASELINE = ".secrets.baseline"

# File, kind and hash: lines move.
Secret = tuple[str, str, str]

# Written so that it does not match itself.
_PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check found: whether it is well, its one line, each defect, and whether it looked at all."""

    well: bool
    summary: str
    defects: Sequence[str] = ()
    looked: bool = True


def main() -> int:
    root = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT
    checks: dict[str, Callable[[], Outcome]] = {
        "code": lambda: code(root),
        "secrets": lambda: secrets(root, tracked(root)),
        "private keys": lambda: private_keys(root, tracked(root)),
        "dependencies": lambda: dependencies(
            installed(), required=os.environ.get("AUDIT_REQUIRED") == "true"
        ),
    }
    outcomes = {name: check() for name, check in checks.items()}
    for name, outcome in outcomes.items():
        for defect in outcome.defects:
            sys.stderr.write(f"{defect}\n")
        mark = "FAIL" if not outcome.well else "ok  " if outcome.looked else "NONE"
        print(f"{mark}  {name}: {outcome.summary}")
    return 0 if all(outcome.well for outcome in outcomes.values()) else 1


def code(root: Path) -> Outcome:
    """Bandit over what is delivered; pyproject.toml says what it leaves out, and why."""
    done = _run(
        ["bandit", "-q", "-r", *CODE, "-c", str(root / "pyproject.toml"), "-f", "json"], root
    )
    try:
        report = json.loads(done.stdout)
    except ValueError:
        return Outcome(False, f"bandit did not run: {_last_line(done.stderr)}")
    defects = [
        f"{r['filename']}:{r['line_number']}: {r['test_id']} {r['issue_text']}"
        for r in report["results"]
    ]
    defects += [f"{error['filename']}: {error['reason']}" for error in report["errors"]]
    lines = report["metrics"]["_totals"]["loc"]
    return Outcome(
        not defects and lines > 0, f"bandit, {lines} lines, {len(defects)} defects", defects
    )


def secrets(root: Path, files: Sequence[str]) -> Outcome:
    """What looks like a secret and is not known in the baseline; and what is known there without reason.

    A known one must be audited as none, be in a test, and still be there.
    """
    baseline = json.loads((root / BASELINE).read_text("utf-8"))
    entries = {
        (name, entry["type"], entry["hashed_secret"]): entry
        for name, result in baseline["results"].items()
        for entry in result
    }
    lines = scanned(root, baseline, [name for name in files if name != BASELINE])
    new, gone = lines.keys() - entries.keys(), entries.keys() - lines.keys()
    unaudited = [
        known
        for known, entry in entries.items()
        if entry.get("is_secret") is not False or not known[0].startswith("tests/")
    ]
    defects = [f"{one[0]}:{lines[one]}: like a secret: {one[1]}" for one in sorted(new)]
    defects += [f"{one[0]}: {one[1]} of {BASELINE} is no longer there" for one in sorted(gone)]
    defects += [f"{one[0]}: {one[1]} is not audited as none, or no test's" for one in unaudited]
    return Outcome(
        not defects and bool(files),
        f"detect-secrets, {len(files)} files, {len(entries)} known, {len(defects)} defects",
        defects,
    )


def scanned(root: Path, baseline: Mapping[str, Any], files: Sequence[str]) -> dict[Secret, int]:
    """What looks like a secret by the baseline's plugins and filters, and the line where it stands."""
    result = SecretsCollection(str(root))
    with transient_settings({key: baseline[key] for key in ("plugins_used", "filters_used")}):
        result.scan_files(*files)
    return {(name, one.type, one.secret_hash): one.line_number for name, one in result}


def private_keys(root: Path, files: Sequence[str]) -> Outcome:
    """Files with a private key in them. None is known: tests make theirs as they run."""
    defects = [
        f"{name}: holds a private key"
        for name in files
        if _PRIVATE_KEY.search((root / name).read_bytes())
    ]
    return Outcome(
        not defects and bool(files), f"{len(files)} files, {len(defects)} defects", defects
    )


def dependencies(
    packages: Mapping[str, str], *, required: bool, auditor: str = "pip-audit"
) -> Outcome:
    """Known vulnerabilities of these packages. Not to know them is a failure only where it is `required`."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.writelines(f"{name}=={version}\n" for name, version in packages.items())
        listed.flush()
        done = _run(
            [
                *(auditor, "--strict", "--no-deps", "--disable-pip", "--format", "json"),
                *("--progress-spinner", "off", "--timeout", "15", "-r", listed.name),
            ],
            ROOT,
        )
    try:
        report: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        why = f"the database of vulnerabilities cannot be reached: {_last_line(done.stderr)}"
        return Outcome(
            not required, f"NOT AUDITED, 0 of {len(packages)} packages; {why}", (), False
        )
    audited = [one for one in report if "vulns" in one]
    defects = [
        f"{one['name']} {one['version']}: {vulnerability['id']}"
        for one in audited
        for vulnerability in one["vulns"]
    ]
    whole = len(audited) == len(packages)
    counts = f"{len(audited)} of {len(packages)} packages, {len(defects)} vulnerabilities"
    return Outcome(
        not defects and (whole or not required),
        f"pip-audit, {counts}" if whole else f"NOT AUDITED in whole, {counts}",
        defects,
        whole,
    )


def installed() -> dict[str, str]:
    """The versions of the installed packages, without the distributions of this repository."""
    result = {one.metadata["Name"]: one.version for one in metadata.distributions()}
    return {name: result[name].partition("+")[0] for name in sorted(result) if name not in OWN}


def tracked(root: Path) -> list[str]:
    """The files that are committed, or would be."""
    listed = _run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], root)
    names = dict.fromkeys(filter(None, listed.stdout.split("\0")))
    return sorted(name for name in names if (root / name).is_file())


def _run(command: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """The program beside this interpreter, where it is there, or else on the PATH."""
    beside = Path(sys.executable).parent / command[0]
    program = str(beside) if beside.is_file() else command[0]
    try:
        return subprocess.run(
            [program, *command[1:]], cwd=folder, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]} is not installed")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1][:200]


if __name__ == "__main__":
    sys.exit(main())
