"""An evaluation as a page of Markdown, for people and for docs/quality.md."""

from collections.abc import Sequence
from dataclasses import dataclass

from rag_client.evaluation.answering import AnswerQuality
from rag_client.evaluation.intervals import Interval
from rag_client.evaluation.metrics import NAMES
from rag_client.evaluation.retrieval import TaskQuality


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that one run found, and what it was found with."""

    command: str
    embedding_model: str
    embedding_fingerprint: str
    generation_model: str
    retrieval: Sequence[TaskQuality]
    answers: Sequence[AnswerQuality]


def markdown(found: Evaluation) -> str:
    """The tables, the intervals in brackets, and the command that made them."""
    parts = [
        f"Made by `{found.command}`, with {found.embedding_model} "
        f"(`{found.embedding_fingerprint}`) and {found.generation_model or 'no generator'}. "
        "Brackets: 95 % bootstrap intervals.",
        *map(_task, found.retrieval),
    ]
    if found.answers:
        parts.append(_answers(found.answers))
    return "\n\n".join(parts) + "\n"


def _task(quality: TaskQuality) -> str:
    rows = [
        [name, *(_cell(values[metric]) for metric in NAMES)]
        for name, values in quality.systems.items()
    ]
    gain = quality.lead.gain
    return "\n".join(
        [
            f"### {quality.task} ({quality.queries:,} questions)",
            "",
            *_table(["", *NAMES], rows),
            "",
            f"Hybrid minus {quality.lead.better}, nDCG@10: "
            f"{gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]",
        ]
    )


def _answers(found: Sequence[AnswerQuality]) -> str:
    headings = ["", "questions", "answer in two quotes", "declined", "declined without evidence"]
    rows = [
        [
            quality.task,
            str(quality.questions),
            *map(_share, (quality.evidenced, quality.declined, quality.declined_without)),
        ]
        for quality in found
    ]
    return "\n".join(["### Answers", "", *_table(headings, rows)])


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *("---:" for _ in headings[1:])]
    return [f"| {' | '.join(cells)} |" for cells in (headings, rule, *rows)]


def _cell(value: Interval) -> str:
    return f"{value.mean:.4f} [{value.low:.3f}, {value.high:.3f}]"


def _share(value: Interval) -> str:
    return f"{value.mean:.1%} [{value.low:.1%}, {value.high:.1%}]"
