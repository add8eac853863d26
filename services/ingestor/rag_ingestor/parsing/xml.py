"""Parses XML and HTML to trees, distinguishing memory exhaustion from a malformed document."""

from lxml import etree


def parse_tree(data: bytes, parser: etree.XMLParser | etree.HTMLParser) -> etree._Element:
    """The root element. Raises etree.XMLSyntaxError, and MemoryError, which libxml2 only logs."""
    try:
        return etree.fromstring(data, parser)
    finally:
        for entry in parser.error_log:
            if entry.type == etree.ErrorTypes.ERR_NO_MEMORY:
                raise MemoryError
