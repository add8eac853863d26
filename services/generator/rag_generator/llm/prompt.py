"""Prompts from versioned templates; passages are fenced off as data and limited to the context."""

import re
import secrets
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from rag_generator.evidence.sentences import Passage

CURRENT = "answer-v1"

# Multilingual models have three to four bytes of UTF-8 per token in Korean and English; this leaves a
# margin. A model without Korean may need a token per byte: use fewer passages with it.
_BYTES_PER_TOKEN = 2.2

# Where a model's control tokens could begin: of turns, tools and ends. A tokenizer recognises them in
# any text, so a passage with them could speak as the system; a space makes them ordinary text.
_CONTROL_TOKEN = re.compile(
    r"<(?=[|\uff5c])|<(?=/?[A-Za-z_][A-Za-z0-9_]{0,40}>)|<(?=</?SYS>>)|\[(?=/?[A-Z][A-Z_]{2,40}\])"
)

_SLOT = re.compile(r"\{(?:fence|passages|question)\}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """The messages to a model, the template's version, and the passages; number n is passages[n - 1]."""

    system: str
    user: str
    version: str
    passages: tuple[Passage, ...]


class Template:
    """A versioned prompt in Korean and English. Raises FileNotFoundError for an unknown version."""

    def __init__(self, version: str = CURRENT) -> None:
        source = resources.files("rag_generator").joinpath("prompts", f"{version}.toml")
        self._template = tomllib.loads(source.read_text("utf-8"))

    def fill(self, question: str, passages: Sequence[Passage], language: str, room: int) -> Prompt:
        """The prompt with as many passages, best first, as fit into `room` tokens, but at least one.

        `language` is "ko" or "en". The fence has a random name, so that no passage can close it.
        """
        template = self._template[language]
        fence = secrets.token_hex(4)
        left = room - _tokens(template["system"] + template["user"] + question)
        included = tuple(_fitting(passages, left))
        listed = "\n".join(_listed(number, item) for number, item in enumerate(included, 1))
        slots = {"{fence}": fence, "{question}": _escaped(question), "{passages}": listed}
        return Prompt(
            _filled(template["system"], slots),
            _filled(template["user"], slots),
            self._template["version"],
            included,
        )


def _filled(template: str, slots: Mapping[str, str]) -> str:
    """Fill all slots in one pass, so that "{passages}" in a question is not replaced."""
    return _SLOT.sub(lambda slot: slots[slot[0]], template.strip())


def _fitting(passages: Sequence[Passage], room: int) -> list[Passage]:
    fitting: list[Passage] = []
    for passage in passages:
        room -= _tokens(passage.title + passage.text) + 16
        if fitting and room < 0:
            break
        fitting.append(passage)
    return fitting


def _listed(number: int, passage: Passage) -> str:
    title = " ".join(passage.title.split())
    return f"[{number}] {_escaped(title)}\n{_escaped(passage.text)}\n"


def _escaped(text: str) -> str:
    return _CONTROL_TOKEN.sub(lambda match: f"{match[0]} ", text)


def _tokens(text: str) -> int:
    return int(len(text.encode()) / _BYTES_PER_TOKEN) + 1
