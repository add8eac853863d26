"""One document as a page."""

from collections.abc import Sequence

from rich.text import Text

from rag_client.console.tables import console, facts_table
from rag_client.results import Document, Passage


def show_document(document: Document, passages: Sequence[Passage]) -> None:
    """What is known of a document, then its passages in their order."""
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
    return facts | {key: str(value) for key, value in document.metadata.items()}
