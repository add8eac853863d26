"""The provenance of a release: an in-toto statement with the predicate SLSA provenance 1.

It says which commit and which locked requirements the files come from. It is not signed here.
"""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tools.release.sums import sha256


def statement(
    version: str,
    source: Mapping[str, str],
    subjects: Mapping[str, str],
    requirements: Path,
    started: datetime,
) -> dict[str, Any]:
    """The statement about `subjects`, their SHA-256 by name. `source` has `repository` and `commit`."""
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [_subject(name, digest) for name, digest in sorted(subjects.items())],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": f"{source['repository']}/tree/{source['commit']}/tools/release",
                "externalParameters": {"version": version},
                "resolvedDependencies": [_commit(source), *_locks(requirements)],
            },
            "runDetails": {"builder": {"id": _builder(source)}, "metadata": _times(started)},
        },
    }


def _subject(name: str, digest: str) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}


def _commit(source: Mapping[str, str]) -> dict[str, Any]:
    return {
        "uri": f"git+{source['repository']}@{source['commit']}",
        "digest": {"gitCommit": source["commit"]},
    }


def _locks(folder: Path) -> list[dict[str, Any]]:
    return [
        {"uri": f"file:{path.relative_to(folder.parent)}", "digest": {"sha256": sha256(path)}}
        for path in sorted(folder.rglob("*.txt"))
    ]


def _builder(source: Mapping[str, str]) -> str:
    """The workflow that runs this, or the statement that a person's machine did."""
    workflow = os.environ.get("GITHUB_WORKFLOW_REF")
    if workflow:
        return f"{os.environ['GITHUB_SERVER_URL']}/{workflow}"
    return f"{source['repository']}/blob/{source['commit']}/Makefile#release"


def _times(started: datetime) -> dict[str, str]:
    return {"startedOn": _text(started), "finishedOn": _text(datetime.now(UTC))}


def _text(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
