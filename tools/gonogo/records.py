"""Judges files that other commands leave: test results, measurements, a release, known issues."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from defusedxml import ElementTree

from tools.gonogo.context import Context
from tools.gonogo.finding import Finding, judged, not_verified
from tools.gonogo.limits import Limit
from tools.release.sums import wrong_files

SEVERITIES = ("critical", "major", "minor")
STATES = ("open", "fixed")


def judge_figures(path: Path, context: Context, limits: list[Limit]) -> Finding:
    """Whether all figures of a JSON file are within their limits."""
    record = _read(path)
    if record is None:
        return not_verified(f"{path.name} is not a JSON object")
    measured = str(record.get("date", ""))
    if not context.is_current(record.get("commit")):
        return not_verified(_other_commit(path, record.get("commit")), measured)
    figures = {one.name: _figure(record, one.name) for one in limits}
    absent = [name for name, figure in figures.items() if figure is None]
    if absent:
        return not_verified(f"{path.name} has no figure for {', '.join(absent)}", measured)
    stated = [(one, figure) for one in limits if (figure := figures[one.name]) is not None]
    exceeded = [f"{one} is not met" for one, figure in stated if not one.met_by(figure)]
    evidence = ", ".join(f"{one.name} {figure:g} (limit {one})" for one, figure in stated)
    return judged(exceeded, evidence, measured)


def judge_junit(path: Path, context: Context, min_tests: int, max_skipped: int) -> Finding:
    """Whether the tests of a JUnit file passed. The name of its suite is the commit."""
    try:
        suite = ElementTree.parse(path).find("testsuite")
    except ElementTree.ParseError as error:
        return not_verified(f"{path.name} is not a JUnit file: {error}")
    if suite is None:
        return not_verified(f"{path.name} has no suite")
    measured = suite.get("timestamp", "")
    if not context.is_current(suite.get("name")):
        return not_verified(_other_commit(path, suite.get("name")), measured)
    tests, failed, errors, skipped = (
        int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")
    )
    counts = f"{tests} tests, {failed} failed, {errors} errors, {skipped} skipped"
    if failed or errors:
        return judged(["tests failed"], counts, measured)
    if tests < min_tests or skipped > max_skipped:
        return not_verified(f"too few of the tests ran: {counts}", measured)
    return judged([], counts, measured)


def judge_release(path: Path, context: Context) -> Finding:
    """Whether the newest release folder is of this commit and unchanged since it was made."""
    statement = _read(path) or {}
    definition = statement.get("predicate", {}).get("buildDefinition", {})
    commits = [
        one.get("digest", {}).get("gitCommit") for one in definition.get("resolvedDependencies", [])
    ]
    if not any(map(context.is_current, commits)):
        return not_verified(_other_commit(path, commits[0] if commits else None))
    wrong = wrong_files(path.parent)
    subjects = ", ".join(one["name"] for one in statement.get("subject", []))
    return judged([f"{one} is not as in SHA256SUMS" for one in wrong], f"by hash: {subjects}")


def judge_issues(path: Path) -> Finding:
    """Whether a critical issue of the table is open."""
    rows = _rows(path.read_text("utf-8"))
    if rows is None:
        return not_verified(f"{path.name} has no table with the columns id, severity and state")
    odd = [
        f"{row['id']}: {row['severity']}, {row['state']}"
        for row in rows
        if row["severity"] not in SEVERITIES or row["state"] not in STATES
    ]
    if odd:
        return not_verified(f"unknown severity or state: {'; '.join(odd)}")
    still_open = [row for row in rows if row["state"] == "open"]
    critical = [f"{row['id']} is critical and open" for row in still_open if _is_critical(row)]
    return judged(critical, f"{len(rows)} known issues, {len(still_open)} open")


def _rows(text: str) -> list[dict[str, str]] | None:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    if not cells or not {"id", "severity", "state"} <= set(cells[0]):
        return None
    if any(len(row) != len(cells[0]) for row in cells):
        return None
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def _is_critical(row: dict[str, str]) -> bool:
    return row["severity"] == "critical"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_text("utf-8"))
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _figure(record: Mapping[str, Any], name: str) -> float | None:
    """The number of that name, `a.b` for b within a; None if there is none, or it is not finite."""
    value: Any = record
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def _other_commit(path: Path, commit: object) -> str:
    return f"{path.name} is of commit {commit or '(none stated)'}, not of this one"
