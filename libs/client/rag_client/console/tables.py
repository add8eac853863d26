"""Passages, documents and outcomes as tables."""

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rag_client.console.answers import spent
from rag_client.results import Document, Found, ScoredPassage

_SNIPPET = 90
_PIPE_WIDTH = 200


def console() -> Console:
    """Standard output; a pipe has no width of its own, and gets one that cuts little."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=_PIPE_WIDTH)


def show_found(found: Found, explain: bool) -> None:
    """The passages of a search; with `explain` their ranks, scores and terms by list."""
    out = console()
    headings = ["#", "score", *(_EXPLAINED if explain else ()), "title", "snippet"]
    table = plain_table(headings)
    for rank, scored in enumerate(found.passages, start=1):
        table.add_row(*map(Text, _row(rank, scored, explain)))
    out.print(table)
    if found.query_terms:
        out.print(Text(f"terms  {' '.join(found.query_terms)}", "dim"))
    out.print(Text(f"{spent(found.timings)}\ntrace {found.trace_id}", "dim"))


def show_documents(documents: Iterable[Document]) -> None:
    """A line a document."""
    table = plain_table(["collection", "document", "title", "type", "passages", "updated"])
    for document in documents:
        updated = f"{document.update_time:%Y-%m-%d %H:%M}" if document.update_time else ""
        count = str(document.passage_count)
        names = [document.collection, document.document_id, document.title, document.media_type]
        table.add_row(*map(Text, [*names, count, updated]))
    console().print(table)


def plain_table(headings: Iterable[str]) -> Table:
    """A table without lines, as the tools of a terminal print them."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def facts_table(facts: Mapping[str, str]) -> Table:
    """A line a fact, its name dim."""
    table = plain_table(["", ""])
    table.show_header = False
    for name, value in facts.items():
        table.add_row(Text(name, "dim"), Text(value))
    return table


_EXPLAINED = ("dense", "cosine", "sparse", "bm25", "matched")


def _row(rank: int, scored: ScoredPassage, explain: bool) -> list[str]:
    passage = scored.passage
    snippet = " ".join(passage.text.split())
    cut = snippet if len(snippet) <= _SNIPPET else f"{snippet[: _SNIPPET - 1]}…"
    evidence = [
        _or_dash(scored.dense_rank),
        _or_dash(scored.dense_score),
        _or_dash(scored.sparse_rank),
        _or_dash(scored.sparse_score),
        " ".join(scored.matched_terms),
    ]
    title = passage.title or passage.document_id
    return [str(rank), f"{scored.score:.4f}", *(evidence if explain else ()), title, cut]


def _or_dash(value: float | int | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.3f}"
