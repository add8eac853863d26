"""Pages that are made from the code are what the code says."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("script", ["settings.py", "errors.py"])
def test_the_committed_pages_are_current(script: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / script, "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [".env.example", ".env.production"])
def test_a_template_sets_nothing_that_looks_like_a_secret(name: str) -> None:
    rows = (ROOT / name).read_text("utf-8").splitlines()
    set_here = [row.partition("=") for row in rows if "=" in row and not row.startswith("#")]
    assert set_here
    secret = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")
    told = [key for key, _, value in set_here if key.endswith(secret) and "vault:" not in value]
    assert not told


@pytest.mark.parametrize(
    "page", ["README.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
)
def test_the_files_that_a_page_links_to_are_there(page: str) -> None:
    path = ROOT / page
    links = [part.split(")")[0] for part in path.read_text("utf-8").split("](")[1:]]
    local = [link.split("#")[0] for link in links if not link.startswith("http")]
    assert [link for link in local if not (path.parent / link).exists()] == []
