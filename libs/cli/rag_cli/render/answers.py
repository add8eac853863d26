"""An answer as text: the stream as it arrives, then its sources."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from rich.console import Console
from rich.text import Text

from rag_client.models import events
from rag_client.models.results import Answer, Citation, Passage


class AnswerPage:
    """Prints the events of one answer; warnings go to stderr."""

    def __init__(self) -> None:
        self._out = Console(highlight=False)
        self._stderr = Console(stderr=True, highlight=False)
        self._written = ""

    def show(self, event: events.Event) -> None:
        """Print one event."""
        match event:
            case events.Delta(_, text):
                self._write(text)
            case events.Completed(answer):
                self._complete(answer)
            case events.Warned(reason, message):
                self._stderr.print(Text(f"{message} ({reason})", "yellow"))
            case events.Incomplete(reason, message):
                self._write("\n")
                self._stderr.print(Text(f"rag: incomplete: {message} ({reason})", "red"))

    def _write(self, text: str) -> None:
        self._written += text
        # Not through rich, which would wrap the text and wait for complete lines.
        self._out.file.write(text)
        self._out.file.flush()

    def _complete(self, answer: Answer) -> None:
        if self._written.strip() != answer.text.strip():
            # The stream was withheld or differs: the complete answer is the valid one.
            self._write(("\n\n" if self._written else "") + answer.text)
        self._write("\n")
        passages = {item.passage.passage_id: item.passage for item in answer.references}
        by_number = sorted(answer.citations, key=lambda citation: citation.number)
        for _, cited in groupby(by_number, key=lambda citation: citation.number):
            self._out.print(_source(list(cited), passages))
        self._out.print(_facts(answer), soft_wrap=True)


def _source(cited: Sequence[Citation], passages: Mapping[str, Passage]) -> Text:
    """One source of the answer: the passage, its location, and the quotes from it."""
    first = cited[0]
    passage = passages.get(first.passage_id)
    text = Text(f"\n[{first.number}] ", "bold cyan")
    text.append(passage.title if passage and passage.title else first.document_id, "bold")
    text.append(f"  {_location(first, passage)}", "dim")
    for quote in dict.fromkeys(citation.quote for citation in cited):
        text.append(f"\n    “{' '.join(quote.split())}”")
    return text


def _location(citation: Citation, passage: Passage | None) -> str:
    if passage is None:
        return citation.passage_id
    page = f"page {passage.page}" if passage.page else ""
    location = str(passage.location or "")
    place = passage.uri or f"{passage.collection}/{citation.document_id}"
    headings = [heading for heading in passage.headings if heading != passage.title]
    return " · ".join(filter(None, [" › ".join(headings), page, location, place]))


def _facts(answer: Answer) -> Text:
    confidence = "" if answer.confidence is None else f"confidence {answer.confidence:.2f}"
    facts = [answer.skipped or "", confidence, answer.provenance.generation_model]
    line = " · ".join(filter(None, facts))
    return Text(
        "\n".join(
            filter(None, ["", line, format_timings(answer.timings), f"trace {answer.trace_id}"])
        ),
        "dim",
    )


def format_timings(timings: Mapping[str, float]) -> str:
    """The duration of each stage in milliseconds."""
    return "  ".join(f"{stage} {seconds * 1000:.1f} ms" for stage, seconds in timings.items())
