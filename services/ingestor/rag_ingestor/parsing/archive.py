"""Reads members of the ZIP archives that office documents are, within limits on what they expand to."""

import io
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lxml import etree

from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.parsed import Limits, content_error
from rag_ingestor.parsing.recognition import BROKEN_ARCHIVE
from rag_ingestor.parsing.xml import parse_tree

_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DOCTYPES = tuple("<!DOCTYPE".encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be"))
_MAX_MEMBERS = 20_000
# What pictures may expand to, in sizes of the archive.
_MAX_RATIO = 4
_TEXT_MEMBERS = (".xml", ".rels", ".hpf")


class Archive:
    """An open archive of `size` bytes; `broken` is the reason for a document whose members cannot be read.

    Its text may have `max_expanded` bytes. Pictures, which are not unpacked, hardly shrink when packed.
    """

    def __init__(self, archive: zipfile.ZipFile, size: int, limits: Limits, broken: str) -> None:
        self._archive = archive
        self._broken = broken
        self._left = limits.max_expanded
        members = archive.infolist()
        whole = sum(one.file_size for one in members)
        text = sum(one.file_size for one in members if is_text_member(one.filename))
        if len(members) > _MAX_MEMBERS or text > limits.max_expanded:
            raise content_error(reasons.EXPANDS)
        if whole > limits.max_expanded + _MAX_RATIO * size:
            raise content_error(reasons.EXPANDS)

    @property
    def names(self) -> Sequence[str]:
        """The names of all members."""
        return list(self._archive.NameToInfo)

    def read(self, name: str) -> bytes | None:
        """A member's content; None if there is no such member. Raises InvalidArgument."""
        member = self._archive.NameToInfo.get(name)
        if member is None:
            return None
        if member.flag_bits & _ENCRYPTED:
            raise content_error(reasons.ENCRYPTED)
        if member.compress_type not in _METHODS:
            raise content_error(self._broken)
        with self._archive.open(member) as source:
            part = source.read(self._left + 1)
        if len(part) > self._left:
            raise content_error(reasons.EXPANDS)
        self._left -= len(part)
        return part


@contextmanager
def opened(content: bytes, limits: Limits, broken: str) -> Iterator[Archive]:
    """The archive. Inside, errors of the archive and of XML are raised as InvalidArgument with `broken`."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield Archive(archive, len(content), limits, broken)
    except (*BROKEN_ARCHIVE, etree.XMLSyntaxError) as error:
        raise content_error(broken) from error


def is_text_member(name: str) -> bool:
    """Whether a member of an office document contains text, or says where there is some."""
    return name.lower().endswith(_TEXT_MEMBERS)


def xml_tree(part: bytes) -> etree._Element:
    """The root of an XML part, which may declare no entities. Raises InvalidArgument, XMLSyntaxError."""
    if any(mark in part for mark in _DOCTYPES):
        raise content_error(reasons.ENTITIES)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    root = parse_tree(part, parser)
    if root.getroottree().docinfo.internalDTD is not None:
        raise content_error(reasons.ENTITIES)
    return root
