"""The pictures of docs/operations.md are those that the script draws, and give nothing away."""

import re
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from tools.docs import images
from tools.docs.images import NAMES, TERMINALS, framed

from rag_local.program import StartFailed

ROOT = Path(__file__).resolve().parents[3]
IMAGES = ROOT / "docs/images"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MAX_BYTES = 150_000

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


def test_every_picture_that_the_script_draws_is_there_and_shown_and_no_other() -> None:
    assert {path.name for path in IMAGES.iterdir()} == set(NAMES) == shown()


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_a_small_svg_that_fetches_nothing_and_names_no_path_host_or_day(
    name: str,
) -> None:
    text = (IMAGES / name).read_text("utf-8")
    root = Xml.fromstring(text)  # noqa: S314  # our own file
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("viewBox")
    assert not NETWORK.findall(text)
    assert not PRIVATE.findall(text)
    assert len(text.encode()) < MAX_BYTES


@pytest.mark.parametrize("name", TERMINALS)
def test_a_terminal_is_framed_without_fonts_from_elsewhere_and_without_its_date(name: str) -> None:
    output = (
        "\x1b[1mtrace 0af7651916cd43dd  2030-01-02 03:04:05 UTC\x1b[0m\n\x1b[31mfailed\x1b[0m\n"
    )
    picture = framed(name, output)
    assert "failed" in picture
    assert not NETWORK.findall(picture)
    assert not PRIVATE.findall(picture)


@pytest.mark.parametrize(
    ("pattern", "planted"),
    [
        (NETWORK, '<image href="https://example.org/a.png"/>'),
        (NETWORK, "<style>@font-face { src: url(font.woff2) }</style>"),
        (NETWORK, "<style>a { fill: url('https://example.org/a') }</style>"),
        (PRIVATE, "log: /root/rag/logs"),
        (PRIVATE, "<dc:date>2030-01-02"),
        (PRIVATE, "at 10.0.0.7"),
    ],
)
def test_what_a_picture_must_not_hold_would_be_found(
    pattern: "re.Pattern[str]", planted: str
) -> None:
    assert pattern.findall(planted)


def test_the_script_says_in_one_sentence_why_it_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_arguments: object, **_options: object) -> None:
        raise StartFailed("no memory")

    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    monkeypatch.setenv("EMBEDDER_MODELS_DIR", str(tmp_path))
    monkeypatch.setenv("EMBEDDER_QUEUE_TEXTS", "")
    monkeypatch.setattr(images, "platform", fails)
    monkeypatch.setattr(images.logging, "configure", lambda *_arguments: None)
    assert images.main() == 1
    assert capsys.readouterr().err == "make pictures: no memory\n"
