"""Passages and documents as tables."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rag_cli.render.answers import format_timings
from rag_client.bulk_ingest import FAILED, FileResult
from rag_client.models.results import Document, Found, Passage, ScoredPassage

_SNIPPET = 90


def console(pipe_width: int = 200) -> Console:
    """Standard output; a pipe has no width, and gets one at which little is cut."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=pipe_width)


def show_search_results(result: Found, explain: bool) -> None:
    """Print the passages of a search; with `explain`, their ranks, scores and matched terms."""
    out = console()
    headings = ["#", "score", *(_EXPLAINED if explain else ()), "title", "snippet"]
    table = plain_table(headings)
    for rank, scored in enumerate(result.passages, start=1):
        table.add_row(*map(Text, _row(rank, scored, explain)))
    out.print(table)
    if result.query_terms:
        out.print(Text(f"terms  {' '.join(result.query_terms)}", "dim"))
    out.print(Text(f"{format_timings(result.timings)}\ntrace {result.trace_id}", "dim"))


def show_documents(documents: Iterable[Document]) -> None:
    """Print one line per document, with the constants of its warnings."""
    table = plain_table(
        ["collection", "document", "title", "type", "passages", "updated", "warnings"]
    )
    for document in documents:
        updated = f"{document.update_time:%Y-%m-%d %H:%M}" if document.update_time else ""
        count = str(document.passage_count)
        names = [document.collection, document.document_id, document.title, document.media_type]
        unread = " ".join(warning.reason for warning in document.warnings)
        table.add_row(*map(Text, [*names, count, updated, unread]))
    console().print(table)


def plain_table(headings: Iterable[str]) -> Table:
    """A table without borders."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def facts_table(facts: Mapping[str, str]) -> Table:
    """A table with one fact per line and dimmed names."""
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


def show_document(document: Document, passages: Sequence[Passage]) -> None:
    """Print a document's properties, then its passages in their order."""
    out = console()
    out.print(facts_table(_facts(document)))
    for passage in passages:
        heading = " › ".join(passage.headings)
        out.print(Text(f"\n[{passage.ordinal}] {heading}".rstrip(), "bold"))
        out.print(Text(passage.text))


def _facts(document: Document) -> dict[str, str]:
    facts = {
        "document": document.document_id,
        "collection": document.collection,
        "title": document.title,
        "uri": document.uri,
        "type": document.media_type,
        "version": document.version,
        "updated": document.update_time.isoformat() if document.update_time else "",
        "passages": str(document.passage_count),
        "characters": str(document.character_count),
    }
    if document.warnings:
        facts["warnings"] = "\n".join(map(str, document.warnings))
    return facts | {key: str(value) for key, value in document.metadata.items()}


_OUTCOMES = ("created", "replaced", "unchanged", FAILED)
_MAX_FAILURES = 50


def show_ingest_results(results: Sequence[FileResult]) -> None:
    """Print the number of files per outcome; then, on stderr, what was not read, and each failure."""
    counts = Counter(item.outcome for item in results)
    table = plain_table([*_OUTCOMES, "passages"])
    passages = sum(item.passages for item in results)
    table.add_row(*(str(counts[outcome]) for outcome in _OUTCOMES), str(passages))
    console().print(table)
    failures = [item for item in results if item.outcome == FAILED]
    stderr = Console(stderr=True, highlight=False)
    partial = [(item.path, one) for item in results for one in item.warnings]
    for path, warning in partial[:_MAX_FAILURES]:
        stderr.print(
            Text(f"{path}: warning: {warning} ({warning.reason})", "yellow"), soft_wrap=True
        )
    if len(partial) > _MAX_FAILURES:
        stderr.print(Text(f"and {len(partial) - _MAX_FAILURES} more warnings", "yellow"))
    for item in failures[:_MAX_FAILURES]:
        trace = f", trace {item.trace_id}" if item.trace_id else ""
        line = f"{item.path}: {item.message} ({item.reason}{trace})"
        stderr.print(Text(line, "red"), soft_wrap=True)
    if len(failures) > _MAX_FAILURES:
        stderr.print(f"and {len(failures) - _MAX_FAILURES} more")
