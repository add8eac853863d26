"""The extractive backend: answers with sentences of the passages, or says that they have no answer."""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator, Sequence

from rag_common.text.language import language
from rag_generator.answering.recorder import Recorder
from rag_generator.answering.service import (
    Answer,
    Citation,
    Event,
    Mode,
    Skipped,
    Task,
    TextDelta,
    refusal_message,
)
from rag_generator.evidence import selection
from rag_generator.evidence.grounding import Claim, Support
from rag_generator.evidence.selection import Extract, Quote
from rag_generator.evidence.sentences import Passage
from rag_generator.llm.model import ModelInfo

# Rows and rules of Markdown tables: supplied passages, and those ingested earlier, may have them.
_RAW = re.compile(r"\s*\|(?:[^\n]*)\|\s*")
_RULE = re.compile(r"^[ \t]*\|(?=[ \t|:]*-)[ \t|:-]*\|[ \t]*$", re.MULTILINE)
_BAR = re.compile(r"(?<!\\)\|")


class ExtractiveAnswering:
    """Answers by quoting at most two sentences, the best first, without a language model."""

    info = ModelInfo("extractive", "extractive")

    def __init__(self, recorder: Recorder | None = None) -> None:
        self._recorder = recorder or Recorder()

    async def answer(self, task: Task) -> AsyncGenerator[Event, None]:
        """Yield a TextDelta and a Citation for each quote, then the Answer."""
        with self._recorder.answer(self.info.name) as record:
            for event in await self._events(task):
                yield record.add(event)

    async def _events(self, task: Task) -> list[Event]:
        min_score = selection.MIN_SCORE if task.min_score is None else task.min_score
        with self._recorder.extraction(len(task.passages)) as record_confidence:
            extract = await asyncio.to_thread(
                selection.answer, task.question, task.passages, min_score
            )
            if task.passages:
                record_confidence(extract.confidence)
            reason = _reason(task, extract)
            return _refusal(task, reason, extract) if reason else _quotes(task, extract)


def _reason(task: Task, extract: Extract) -> Skipped | None:
    if not task.passages:
        return Skipped.NO_PASSAGES
    if not extract.quotes or (task.mode is Mode.REFUSE and not extract.answered):
        return Skipped.WEAK_EVIDENCE
    return None


def _refusal(task: Task, reason: Skipped, extract: Extract) -> list[Event]:
    text = refusal_message(reason, language(task.question, task.language))
    confidence = extract.confidence if task.passages else None
    model = ExtractiveAnswering.info.name
    return [TextDelta(text), Answer(text, skipped=reason, confidence=confidence, model=model)]


def _quotes(task: Task, extract: Extract) -> list[Event]:
    parts = list(_parts(extract.quotes, task.passages))
    events: list[Event] = []
    for text, citation in parts:
        events += [TextDelta(text), citation]
    return [*events, _answer(parts, extract.confidence)]


# A bracketed number in a passage's own text would look like a citation.
_NUMBER = re.compile(r"\s?\[\d{1,3}\]")


def _parts(quotes: Sequence[Quote], passages: Sequence[Passage]) -> Iterator[tuple[str, Citation]]:
    """Each quote as one line followed by its number; quotes of one passage share a number."""
    texts = {passage.id: passage.text for passage in passages}
    numbers: dict[str, int] = {}
    at = 0
    for quote in quotes:
        number = numbers.setdefault(quote.passage_id, len(numbers) + 1)
        space = " " if at else ""
        quoted = readable(quote.text, texts[quote.passage_id], quote.start)
        sentence = " ".join(_NUMBER.sub("", quoted).split())
        start = at + len(space)
        citation = Citation(
            number,
            quote.passage_id,
            start,
            start + len(sentence),
            quote.text,
            quote.start,
            quote.end,
        )
        part = f"{space}{sentence} [{number}]"
        at += len(part)
        yield part, citation


def _answer(parts: Sequence[tuple[str, Citation]], confidence: float) -> Answer:
    citations = tuple(citation for _, citation in parts)
    return Answer(
        "".join(text for text, _ in parts),
        citations,
        tuple(_claim(citation) for citation in citations),
        confidence=confidence,
        model=ExtractiveAnswering.info.name,
    )


def _claim(citation: Citation) -> Claim:
    """The claim of a quoted sentence, which its own quote supports."""
    support = Support(citation.passage_id, citation.quote_start, citation.quote_end)
    return Claim(citation.start, citation.end, citation.quote, True, 1.0, (support,))


def readable(quote: str, passage: str, start: int) -> str:
    """The quote, with a raw table row as “column: cell · column: cell”.

    `start` is the quote's offset in the passage. Column names are those of the table's head; without
    it in the passage, the cells have no names.
    """
    if not _RAW.fullmatch(quote):
        return quote
    cells = _cells(quote)
    names = _names(passage[:start], len(cells))
    pairs = zip(names, cells, strict=True)
    return " · ".join(f"{name}: {cell}" if name else cell for name, cell in pairs if cell)


def _names(above: str, count: int) -> list[str]:
    rules = list(_RULE.finditer(above))
    if not rules or "\n\n" in above[rules[-1].end() :]:
        return [""] * count
    head = _cells(above[: rules[-1].start()].rstrip().rsplit("\n", 1)[-1])
    return (head + [""] * count)[:count]


def _cells(row: str) -> list[str]:
    inner = row.strip().removeprefix("|").removesuffix("|")
    return [cell.replace("\\|", "|").strip() for cell in _BAR.split(inner)]
