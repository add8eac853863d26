"""HTML: the text that a reader sees, with its headings, lists and tables."""

import re

from lxml import etree

from rag_retriever.formats import reasons
from rag_retriever.formats.parsed import HTML, Draft, Kind, Limits, Parsed, refused, squeezed
from rag_retriever.formats.xml import tree


def parse(text: str, limits: Limits) -> Parsed:
    """The visible text: no scripts, styles, navigation, controls of forms, or hidden parts."""
    root = _tree(text)
    if root is None:
        return Parsed("", "", (), HTML)
    page = _Page(Draft(limits))
    for event, node in etree.iterwalk(root, events=("start", "end")):
        page.take(event, node)
    page.flush()
    title = root.find(".//title")
    return page.draft.parsed(
        squeezed("".join(map(str, title.itertext()))) if title is not None else "", HTML
    )


_UNSEEN = frozenset(
    re.findall(
        r"\w+",
        "head script style nav template noscript svg math iframe object embed audio video canvas"
        " select option button textarea input datalist map",
    )
)
_BLOCKS = frozenset(
    re.findall(
        r"\w+",
        "address article aside blockquote body caption center dd details dialog div dl dt fieldset"
        " figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr html li main ol p pre section"
        " summary table tbody tfoot thead tr ul",
    )
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


def _tree(text: str) -> etree._Element | None:
    parser = etree.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True
    )
    try:
        root = tree(text.encode(), parser)
    except etree.XMLSyntaxError:
        return None
    # The parser drops the rest of a document that is nested too deeply, and only logs it.
    if any("depth" in entry.message.lower() for entry in parser.error_log.filter_from_fatals()):
        raise refused(reasons.BROKEN_HTML)
    return root


class _Page:
    """Turns the walk over a page's elements into blocks."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self._words: list[str] = []
        self._unseen = 0
        self._tables = 0
        self._verbatim = 0
        self._rows: list[str] = []

    def take(self, event: str, node: etree._Element) -> None:
        if event == "start":
            self._open(node)
        elif event == "end":
            self._close(node)

    def flush(self, kind: Kind = Kind.TEXT, level: int = 0) -> None:
        """Ends the block under way; within a table it becomes part of the cell instead."""
        if self._tables:
            self._words.append(" ")
            return
        text = "".join(self._words)
        self._words.clear()
        if not text.strip():
            return
        self.draft.add(text if kind is Kind.LINES else _laid_out(text), kind, level)

    def _open(self, node: etree._Element) -> None:
        tag = str(node.tag)
        if self._unseen or _unseen(node, tag):
            self._unseen += 1
            return
        if tag in _BLOCKS:
            self.flush()
        if tag == "table":
            self._tables += 1
        elif tag == "pre":
            self._verbatim += 1
        elif tag == "li":
            self._words.append("- ")
        elif tag == "br":
            self._words.append("\n" if not self._tables else " ")
        self._say(node.text)

    def _close(self, node: etree._Element) -> None:
        if self._unseen:
            self._unseen -= 1
        else:
            self._finish(str(node.tag))
        if not self._unseen:
            self._say(node.tail)

    def _finish(self, tag: str) -> None:
        if tag == "pre":
            self._verbatim -= 1
            self.flush(Kind.LINES)
        elif tag in ("td", "th"):
            self._words.append(" | ")
        elif tag == "tr":
            self._end_row()
        elif tag == "table":
            self._end_table()
        elif tag in _HEADINGS:
            self.flush(Kind.HEADING, _HEADINGS[tag])
        elif tag in _BLOCKS:
            self.flush()

    def _end_row(self) -> None:
        row = " ".join("".join(self._words).split()).removesuffix("|").strip()
        self._words.clear()
        if row:
            self._rows.append(row)

    def _end_table(self) -> None:
        self._end_row()
        self._tables -= 1
        if not self._tables:
            self.draft.add("\n".join(self._rows), Kind.LINES)
            self._rows.clear()

    def _say(self, text: str | None) -> None:
        if text:
            self._words.append(
                text if self._verbatim and not self._tables else _SPACES.sub(" ", text)
            )


# A no-break space is white space here: pages use it for layout.
_SPACES = re.compile(r"\s+")
_AROUND_BREAKS = re.compile(r" *\n *")


def _laid_out(text: str) -> str:
    return _AROUND_BREAKS.sub("\n", re.sub(" {2,}", " ", text)).strip()


def _unseen(node: etree._Element, tag: str) -> bool:
    if tag in _UNSEEN:
        return True
    if not node.attrib:
        return False
    hidden = node.get("hidden") is not None or node.get("aria-hidden") == "true"
    return hidden or bool(_HIDDEN_STYLE.search(node.get("style", "")))
