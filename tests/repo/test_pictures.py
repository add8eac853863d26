"""The pictures of docs/operations.md are those that the script draws, and give nothing away."""

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from scripts.pictures.__main__ import NAMES
from scripts.pictures.terminals import TERMINALS, Terminal, framed

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs/images"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MOST_BYTES, MOST_TOGETHER = 150_000, 1_000_000

# What a browser would fetch, and what tells of the machine or the day: Xml namespaces are neither.
NETWORK = re.compile(r"url\(\s*[\"']?(?!#)|@import|@font-face|(?:href|src)=[\"'](?!#)")
PRIVATE = re.compile(
    r"(?<![\w.:/<])/(?:home|root|tmp|work|usr|var|opt|Users|mnt)/|\b[A-Z]:\\|\b\d{4}-\d\d-\d\d\b"
    r"|\bhost\.name\b|\b(?:10|172|192)\.\d+\.\d+\.\d+\b"
)


def shown() -> set[str]:
    """Each picture that a page shows."""
    pattern = re.compile(r"!\[[^]]+\]\((?:docs/)?images/([^)]+)\)")
    return {name for page in PAGES for name in pattern.findall(page.read_text("utf-8"))}


def test_every_picture_that_the_script_draws_is_there_and_no_other() -> None:
    assert {path.name for path in IMAGES.iterdir()} == set(NAMES)


def test_every_picture_is_shown_and_none_that_is_not_there() -> None:
    assert shown() == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
class TestPicture:
    def test_is_svg_of_a_size(self, name: str) -> None:
        root = Xml.parse(IMAGES / name).getroot()  # noqa: S314  # our own file
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.get("viewBox")

    def test_needs_nothing_from_the_network(self, name: str) -> None:
        assert not NETWORK.findall((IMAGES / name).read_text("utf-8"))

    def test_tells_no_path_host_or_day(self, name: str) -> None:
        assert not PRIVATE.findall((IMAGES / name).read_text("utf-8"))

    def test_is_small(self, name: str) -> None:
        assert (IMAGES / name).stat().st_size < MOST_BYTES


def test_all_pictures_together_are_small() -> None:
    assert sum(path.stat().st_size for path in IMAGES.iterdir()) < MOST_TOGETHER


@pytest.mark.parametrize("terminal", TERMINALS, ids=lambda one: one.name)
def test_a_terminal_is_framed_without_fonts_from_elsewhere_and_without_its_date(
    terminal: Terminal,
) -> None:
    said = "\x1b[1mtrace 0af7651916cd43dd  2030-01-02 03:04:05 UTC\x1b[0m\n\x1b[31mfailed\x1b[0m\n"
    picture = framed(terminal, said)
    assert "failed" in picture
    assert not NETWORK.findall(picture)
    assert not PRIVATE.findall(picture)


@pytest.mark.parametrize(
    "planted",
    [
        '<image href="https://example.org/a.png"/>',
        "<style>@font-face { src: url(font.woff2) }</style>",
        "<style>a { fill: url('https://example.org/a') }</style>",
    ],
)
def test_a_picture_that_fetches_something_would_be_found(planted: str) -> None:
    assert NETWORK.findall(planted)


@pytest.mark.parametrize("planted", ["log: /root/rag/logs", "<dc:date>2030-01-02", "at 10.0.0.7"])
def test_a_picture_that_tells_of_its_machine_would_be_found(planted: str) -> None:
    assert PRIVATE.findall(planted)


def test_the_script_says_in_one_sentence_why_it_does_not_start(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.pictures", str(tmp_path)],
        cwd=ROOT,
        env={"PATH": "", "RAG_HOME": str(tmp_path), "EMBEDDER_MODELS_DIR": "/dev/null"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("make pictures: ")
    assert "Traceback" not in done.stderr
