"""The extractive backend: the answer in the documents' own sentences, or that they do not have it."""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator, Sequence

from rag_generator import extractive
from rag_generator.core import Answer, Citation, Event, Mode, ModelInfo, Skipped, Task, Words
from rag_generator.extractive import Extract, Quote
from rag_generator.grounding import Claim, Support
from rag_generator.language import apology, language


class Quoting:
    """Quotes at most two sentences, best evidence first. Needs no model."""

    info = ModelInfo("extractive", "extractive")

    async def answer(self, task: Task) -> AsyncGenerator[Event, None]:
        """Each quote as Words and a Citation, then the Answer."""
        least = extractive.MIN_SCORE if task.min_score is None else task.min_score
        extract = await asyncio.to_thread(extractive.answer, task.question, task.passages, least)
        reason = _reason(task, extract)
        if reason:
            text = apology(reason, language(task.question, task.language))
            yield Words(text)
            confidence = extract.confidence if task.passages else None
            yield Answer(text, skipped=reason, confidence=confidence, model=self.info.name)
            return
        parts = list(_parts(extract.quotes))
        for words, citation in parts:
            yield Words(words)
            yield citation
        yield _whole(parts, extract.confidence)


def _reason(task: Task, extract: Extract) -> Skipped | None:
    if not task.passages:
        return Skipped.NO_PASSAGES
    if not extract.quotes or (task.mode is Mode.REFUSE and not extract.answered):
        return Skipped.WEAK_EVIDENCE
    return None


# A number in a passage's own text would pass for a citation of ours.
_NUMBER = re.compile(r"\s?\[\d{1,3}\]")


def _parts(quotes: Sequence[Quote]) -> Iterator[tuple[str, Citation]]:
    """Each quote on one line with its number behind it; the same passage keeps its number."""
    numbers: dict[str, int] = {}
    at = 0
    for quote in quotes:
        number = numbers.setdefault(quote.passage_id, len(numbers) + 1)
        space = " " if at else ""
        sentence = " ".join(_NUMBER.sub("", quote.text).split())
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
        words = f"{space}{sentence} [{number}]"
        at += len(words)
        yield words, citation


def _whole(parts: Sequence[tuple[str, Citation]], confidence: float) -> Answer:
    citations = tuple(citation for _, citation in parts)
    return Answer(
        "".join(words for words, _ in parts),
        citations,
        tuple(_claim(citation) for citation in citations),
        confidence=confidence,
        model=Quoting.info.name,
    )


def _claim(citation: Citation) -> Claim:
    """A quote supports itself."""
    support = Support(citation.passage_id, citation.quote_start, citation.quote_end)
    return Claim(citation.start, citation.end, citation.quote, True, 1.0, (support,))
