"""Pages that are made from the code are what the code says."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    "tool",
    [
        *("contracts.descriptors", "dashboards", "delivery.argo"),
        *("docs.errors", "docs.metrics", "docs.settings"),
    ],
)
def test_the_generated_files_are_current(tool: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"tools.{tool}", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [".env.example", ".env.production"])
def test_a_template_sets_nothing_that_looks_like_a_secret(name: str) -> None:
    rows = (ROOT / name).read_text("utf-8").splitlines()
    set_here = [row.partition("=") for row in rows if "=" in row and not row.startswith("#")]
    assert set_here
    secret = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")
    reported = [key for key, _, value in set_here if key.endswith(secret) and "vault:" not in value]
    assert not reported
