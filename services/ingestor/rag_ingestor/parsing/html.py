"""Parses HTML: the visible text with its headings, lists and tables."""

import re

from lxml import etree

from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.html_tables import Table
from rag_ingestor.parsing.parsed import (
    HTML,
    Kind,
    Limits,
    Parsed,
    ParsedBuilder,
    content_error,
    single_line,
)
from rag_ingestor.parsing.xml import parse_tree


def parse(text: str, limits: Limits) -> Parsed:
    """The visible text, without scripts, styles, navigation, form controls and hidden elements.

    Footers and side notes of the page, but not of its article, are left out unless there is nothing else.
    """
    root = _tree(text)
    if root is None:
        return Parsed("", "", (), HTML)
    node = root.find(".//title")
    title = single_line("".join(map(str, node.itertext()))) if node is not None else ""
    parsed = _walked(root, limits, boilerplate=False).parsed(title, HTML)
    return parsed if parsed.text else _walked(root, limits, boilerplate=True).parsed(title, HTML)


def _walked(root: etree._Element, limits: Limits, *, boilerplate: bool) -> ParsedBuilder:
    page = _Page(ParsedBuilder(limits), boilerplate)
    for event, node in etree.iterwalk(root, events=("start", "end")):
        page.handle(event, node)
    page.flush()
    return page.builder


_HIDDEN_TAGS = frozenset(
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
_APART = frozenset({"aside", "footer"})
_APART_ROLES = frozenset({"complementary", "contentinfo", "navigation"})
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


def _tree(text: str) -> etree._Element | None:
    parser = etree.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True
    )
    try:
        root = parse_tree(text.encode(), parser)
    except etree.XMLSyntaxError:
        return None
    # The parser drops the rest of a too deeply nested document, and only logs it.
    if any("depth" in entry.message.lower() for entry in parser.error_log.filter_from_fatals()):
        raise content_error(reasons.BROKEN_HTML)
    return root


class _Page:
    """Builds blocks while walking over a page's elements; with `boilerplate` also from its footers."""

    def __init__(self, builder: ParsedBuilder, boilerplate: bool) -> None:
        self.builder = builder
        self._boilerplate = boilerplate
        self._pieces: list[str] = []
        self._hidden_depth = 0
        self._tables = 0
        self._verbatim = 0
        self._table = Table()

    def handle(self, event: str, node: etree._Element) -> None:
        if event == "start":
            self._open(node)
        elif event == "end":
            self._close(node)

    def flush(self, kind: Kind = Kind.TEXT, level: int = 0) -> None:
        """End the current block; within a table, its text becomes part of the cell instead."""
        if self._tables:
            self._pieces.append(" ")
            return
        text = "".join(self._pieces)
        self._pieces.clear()
        if not text.strip():
            return
        self.builder.add(text if kind is Kind.LINES else _normalise_breaks(text), kind, level)

    def _open(self, node: etree._Element) -> None:
        tag = str(node.tag)
        apart = not self._boilerplate and _is_boilerplate(node, tag)
        if self._hidden_depth or apart or _is_hidden(node, tag):
            self._hidden_depth += 1
            return
        if tag in _BLOCKS:
            self.flush()
        if tag == "table":
            self._open_table()
        elif tag == "pre":
            self._verbatim += 1
        elif tag == "li":
            self._pieces.append("- ")
        elif tag == "br":
            self._pieces.append("\n" if not self._tables else " ")
        self._append_text(node.text)

    def _close(self, node: etree._Element) -> None:
        if self._hidden_depth:
            self._hidden_depth -= 1
        else:
            self._finish(node, str(node.tag))
        if not self._hidden_depth:
            self._append_text(node.tail)

    def _finish(self, node: etree._Element, tag: str) -> None:
        if tag == "pre":
            self._verbatim -= 1
            self.flush(Kind.LINES)
        elif tag in ("td", "th") and self._tables:
            self._table.add(node, self._cell())
        elif tag == "tr" and self._tables:
            self._table.end_row()
        elif tag == "caption" and self._tables:
            self._table.caption = self._cell()
        elif tag == "table":
            self._end_table()
        elif tag in _HEADINGS:
            self.flush(Kind.HEADING, _HEADINGS[tag])
        elif tag in _BLOCKS:
            self.flush()

    def _open_table(self) -> None:
        if self._tables:
            self._table.nested = True
        else:
            self._table = Table()
        self._tables += 1

    def _cell(self) -> str:
        cell = " ".join("".join(self._pieces).split())
        self._pieces.clear()
        return cell

    def _end_table(self) -> None:
        loose = self._cell()
        self._tables -= 1
        if not self._tables:
            self.builder.add(self._table.caption)
            self.builder.add(self._table.text(), Kind.LINES)
        self.builder.add(loose) if not self._tables else self._pieces.append(loose)

    def _append_text(self, text: str | None) -> None:
        if text:
            self._pieces.append(
                text if self._verbatim and not self._tables else _SPACES.sub(" ", text)
            )


# Includes the no-break space, which pages use for layout.
_SPACES = re.compile(r"\s+")
_AROUND_BREAKS = re.compile(r" *\n *")


def _normalise_breaks(text: str) -> str:
    return _AROUND_BREAKS.sub("\n", re.sub(" {2,}", " ", text)).strip()


def _is_boilerplate(node: etree._Element, tag: str) -> bool:
    """Whether it is a footer or a side note of the page, and not of its article."""
    if tag not in _APART and node.get("role") not in _APART_ROLES:
        return False
    return next(node.iterancestors("main", "article"), None) is None


def _is_hidden(node: etree._Element, tag: str) -> bool:
    if tag in _HIDDEN_TAGS:
        return True
    if not node.attrib:
        return False
    hidden = node.get("hidden") is not None or node.get("aria-hidden") == "true"
    return hidden or bool(_HIDDEN_STYLE.search(node.get("style", "")))
