"""Paths and commands that the documentation names exist in the repository."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md", "deploy/**/*.md")
    for path in ROOT.glob(pattern)
    if path.name != "CHANGELOG.md"
)
# Without what is built here, which is there at times.
TOP = {
    path.name
    for path in ROOT.iterdir()
    if path.is_dir() and path.name != "build" and not path.name.startswith(".")
}
PACKAGES = {
    path.parent.name: path.parent
    for top in ("libs", "services")
    for path in (ROOT / top).glob("*/rag_*/__init__.py")
}
FILES = [path for top in sorted(TOP) for path in (ROOT / top).rglob("*") if path.is_file()]
SOURCES = (".py", ".toml", ".lua", ".j2", ".proto", ".hcl")
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)]*)\)")
MODULE = re.compile(r"python -m ([\w.]+)(?![\w<])")


def named_paths(text: str) -> list[str]:
    """The words in backticks that look like a path of the repository."""
    return [word for word in CODE.findall(text) if looks_like_a_path(word)]


def looks_like_a_path(word: str) -> bool:
    if not re.fullmatch(r"[\w*][\w./*-]*", word):
        return False
    first, slash, _ = word.partition("/")
    return word.endswith(SOURCES) or bool(slash and (first in TOP or first in PACKAGES))


def exists(word: str, page: Path) -> bool:
    """Whether a path is there: from the root, a package, the page's folder, or as the end of a file's path."""
    first, _, rest = word.rstrip("/").partition("/")
    places = [ROOT / word, page.parent / word, PACKAGES.get(first, ROOT / first) / rest]
    if "*" in word:
        return any(folder.glob(word) for folder in (ROOT, page.parent))
    if any(place.exists() for place in places):
        return True
    return any(path.as_posix().endswith(f"/{word}") for path in FILES)


def module_exists(name: str) -> bool:
    first, *rest = name.split(".")
    start = PACKAGES.get(first, ROOT / first)
    path = start.joinpath(*rest)
    return path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


@pytest.mark.parametrize("name", PAGES)
def test_the_paths_modules_and_links_of_a_page_exist(name: str) -> None:
    page = ROOT / name
    text = page.read_text("utf-8")
    assert [word for word in named_paths(text) if not exists(word, page)] == []
    assert [module for module in MODULE.findall(text) if not module_exists(module)] == []
    links = [link for link in LINK.findall(text) if not link.startswith(("http", "#"))]
    assert [link for link in links if not (page.parent / link.split("#")[0]).exists()] == []


def test_a_path_that_is_not_there_is_noticed() -> None:
    text = "see `libs/nothing/here.py`, `rag_gateway/nowhere.py`, `gone.toml`, `README.md`, `a/b`"
    named = named_paths(text)
    assert named == ["libs/nothing/here.py", "rag_gateway/nowhere.py", "gone.toml"]
    assert not [word for word in named if exists(word, ROOT / "README.md")]


def test_a_module_that_is_not_there_is_noticed() -> None:
    assert module_exists("tools.bench")
    assert module_exists("rag_embedder.models.prepare_model")
    assert not module_exists("tools.nothing")
    assert not module_exists("rag_gateway.nothing")
