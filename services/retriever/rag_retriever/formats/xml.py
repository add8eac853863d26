"""XML and HTML trees, with running out of memory told apart from a broken document."""

from lxml import etree


def tree(data: bytes, parser: etree.XMLParser | etree.HTMLParser) -> etree._Element:
    """The root element. Raises etree.XMLSyntaxError, or MemoryError, which libxml2 only logs."""
    try:
        return etree.fromstring(data, parser)
    finally:
        for entry in parser.error_log:
            if entry.type == etree.ErrorTypes.ERR_NO_MEMORY:
                raise MemoryError
