"""Prompts: versioned files, with the passages fenced off as data and cut to the model's room."""

import re
import secrets
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from rag_generator.evidence import Passage

CURRENT = "answer-v1"

# Multilingual models take three to four bytes of UTF-8 a token in Korean and English; this leaves
# them room. A model that knows no Korean may take a token a byte: give it fewer passages.
_BYTES_A_TOKEN = 2.2

# Where a model's own marks could begin: of turns, tools and ends. A tokenizer reads them in a text too,
# and a passage that holds them would speak as the system; a space makes them words like any other.
_MARK = re.compile(
    r"<(?=[|\uff5c])|<(?=/?[A-Za-z_][A-Za-z0-9_]{0,40}>)|<(?=</?SYS>>)|\[(?=/?[A-Z][A-Z_]{2,40}\])"
)

_SLOT = re.compile(r"\{(?:fence|passages|question)\}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked, which version of the words, and the passages by their number less one."""

    system: str
    user: str
    version: str
    passages: tuple[Passage, ...]


class Template:
    """A versioned prompt in Korean and English. Raises FileNotFoundError for an unknown version."""

    def __init__(self, version: str = CURRENT) -> None:
        source = resources.files("rag_generator").joinpath("prompts", f"{version}.toml")
        self._words = tomllib.loads(source.read_text("utf-8"))

    def fill(self, question: str, passages: Sequence[Passage], tongue: str, room: int) -> Prompt:
        """The prompt with as many passages, best first, as fit into `room` tokens; one at least.

        The fence's name is new each time, so that no passage can close it.
        """
        words = self._words[tongue]
        fence = secrets.token_hex(4)
        left = room - _tokens(words["system"] + words["user"] + question)
        shown = tuple(_fitting(passages, left))
        listed = "\n".join(_listed(number, item) for number, item in enumerate(shown, 1))
        slots = {"{fence}": fence, "{question}": _unmarked(question), "{passages}": listed}
        return Prompt(
            _filled(words["system"], slots),
            _filled(words["user"], slots),
            self._words["version"],
            shown,
        )


def _filled(words: str, slots: Mapping[str, str]) -> str:
    """All at once, so that a question about "{passages}" does not let them out of the fence."""
    return _SLOT.sub(lambda slot: slots[slot[0]], words.strip())


def _fitting(passages: Sequence[Passage], room: int) -> list[Passage]:
    shown: list[Passage] = []
    for passage in passages:
        room -= _tokens(passage.title + passage.text) + 16
        if shown and room < 0:
            break
        shown.append(passage)
    return shown


def _listed(number: int, passage: Passage) -> str:
    title = " ".join(passage.title.split())
    return f"[{number}] {_unmarked(title)}\n{_unmarked(passage.text)}\n"


def _unmarked(text: str) -> str:
    return _MARK.sub(lambda mark: f"{mark[0]} ", text)


def _tokens(text: str) -> int:
    return int(len(text.encode()) / _BYTES_A_TOKEN) + 1
