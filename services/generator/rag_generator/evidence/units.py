"""Splits a passage into units: sentences with their roles, their context and what may be quoted."""

from collections.abc import Sequence
from dataclasses import dataclass

from rag_common.text.sentences import Span, sentences
from rag_generator.evidence.roles import LEADS_IN, REPLIES, Role, gaps, roles


@dataclass(frozen=True, slots=True)
class Unit:
    """A sentence, code points [start, end) of the passage without an answer's label (“A.”).

    `heads` are the places of the sentences that it belongs to (the question it answers, its label,
    heading, or list's lead-in), each with the share in [0, 1] to which their matches count for it.
    `quote` is the span to quote: that of a lead-in includes its list. `group` is the span of the
    list, a label's lines or an FAQ's answer that contains it, None if there is none.
    """

    start: int
    end: int
    role: Role
    heads: tuple[tuple[int, float], ...] = ()
    quote: Span | None = None
    group: Span | None = None
    separable: bool = True
    """Whether the sentence may be quoted without its group; an FAQ's answer is quoted in full."""
    record: int | None = None
    """The place of the first line of a block of fields, which names their record; None if none."""
    place: int = 0


def units(text: str) -> list[Unit]:
    """The units of `text` in order, one for each sentence."""
    spans = sentences(text)
    breaks = gaps(text, spans)
    return _Outline(text, spans, breaks, roles(text, spans, breaks)).units()


# Shares of heads, by kind: question, label, first field of a record, lead-in, heading.
_ANSWERS, _LABELLED, _FIELDS, _LISTED, _UNDER = 0.95, 0.95, 0.75, 0.75, 0.6
# Marks, or sentences of one item, that may be between a head and its unit.
_MAX_BETWEEN = 8
# Maximum characters of a list, and of an FAQ's answer, that is quoted in full.
_MAX_LIST, _MAX_ANSWER = 800, 300


class _Outline:
    """Goes through the sentences of a passage and tracks the heads of the next one."""

    def __init__(
        self, text: str, spans: Sequence[Span], breaks: Sequence[int], parts: Sequence[Role]
    ) -> None:
        self._text, self._spans, self._gaps, self._roles = text, spans, breaks, parts
        self._heading: int | None = None
        self._owner: tuple[int, float] | None = None
        self._record: int | None = None

    def units(self) -> list[Unit]:
        units: list[Unit] = []
        groups = self._groups()
        for at, span in enumerate(self._spans):
            self._enter(at)
            heads = self._heads(at)
            start = self._unlabelled(span)
            group, separable = groups.get(at, (None, True))
            units.append(
                Unit(
                    start,
                    span.end,
                    self._roles[at] if start < span.end else Role.NOTHING,
                    heads,
                    quote=self._quote(at, start),
                    group=group,
                    separable=separable,
                    record=self._record if self._record != at else None,
                    place=at,
                )
            )
        return units

    def _unlabelled(self, span: Span) -> int:
        label = REPLIES.match(self._text, span.start, span.end)
        return label.end() if label else span.start

    def _enter(self, at: int) -> None:
        """Go on to the sentence `at`, and reset heads that do not apply to it."""
        role, gap = self._roles[at], self._gaps[at]
        if role is Role.HEADING:
            self._heading, self._owner, self._record = at, None, None
            return
        if role is Role.QUESTION:
            self._owner, self._record = None, None
        elif gap == 2 and self._owner and not self._just_after(self._owner[0], at):
            self._owner = None
        if role is not Role.FIELD or gap != 1 or self._record is None:
            if role is Role.FIELD and gap:
                self._record = at
            elif gap:
                self._record = None

    def _just_after(self, head: int, at: int) -> bool:
        """Whether only marks, or items of the same list, are between `head` and `at`."""
        before = at - 1
        for _ in range(_MAX_BETWEEN):
            if before <= head:
                return True
            if self._roles[before] is Role.ITEM:
                return self._roles[at] is Role.ITEM
            if self._roles[before] is not Role.NOTHING and not self._continues(at, before):
                return False
            before -= 1
        return False

    def _continues(self, at: int, before: int) -> bool:
        """Whether both are in one list: an item, after a sentence within another item's line."""
        return self._roles[at] is Role.ITEM and self._gaps[before] == 0

    def _heads(self, at: int) -> tuple[tuple[int, float], ...]:
        role = self._roles[at]
        heads = [self._owner] if self._owner else []
        if self._record is not None and self._record != at:
            heads.append((self._record, _FIELDS))
        if self._heading is not None and self._heading != at:
            heads.append((self._heading, _UNDER))
        if role is Role.QUESTION:
            self._owner = (at, _ANSWERS)
        elif role is Role.LABEL:
            self._owner = (at, _LABELLED)
        elif self._leads_in(at):
            self._owner = (at, _LISTED)
        return tuple(heads)

    def _leads_in(self, at: int) -> bool:
        """Whether this sentence introduces the list that follows it."""
        if self._roles[at] not in (Role.TEXT, Role.FIELD) or self._roles[at + 1 : at + 2] != [
            Role.ITEM
        ]:
            return False
        piece = self._text[self._spans[at].start : self._spans[at].end]
        return self._gaps[at + 1] == 1 or bool(LEADS_IN.search(piece))

    def _quote(self, at: int, start: int) -> Span:
        end = self._spans[at].end
        if self._leads_in(at):
            end = self._list_end(at + 1, start)
        return Span(start, end)

    def _list_end(self, first: int, start: int) -> int:
        end, at = self._spans[first].end, first
        while at < len(self._spans) and self._belongs(at, first):
            if self._spans[at].end - start > _MAX_LIST:
                break
            end = self._spans[at].end
            at += 1
        return end

    def _belongs(self, at: int, first: int) -> bool:
        """Whether the sentence is an item of the list, or continues an item's line."""
        return self._roles[at] is Role.ITEM or (at > first and self._gaps[at] == 0)

    def _groups(self) -> dict[int, tuple[Span, bool]]:
        """The group of each sentence that has one, and whether it may be quoted alone, by place."""
        groups: dict[int, tuple[Span, bool]] = {}
        done = 0
        for at, role in enumerate(self._roles):
            if at < done or at in groups:
                continue
            if role is Role.ITEM:
                done = self._list_stop(at)
                self._group(groups, at, done, separable=True)
            elif role is Role.QUESTION or role is Role.LABEL:
                self._group(groups, at + 1, self._body_stop(at), role is Role.LABEL)
        return groups

    def _group(
        self, groups: dict[int, tuple[Span, bool]], first: int, stop: int, separable: bool
    ) -> None:
        while first < stop and not self._has_words(first):
            first += 1
        if first >= stop or Role.ROW in self._roles[first:stop]:
            return
        group = Span(self._unlabelled(self._spans[first]), self._spans[stop - 1].end)
        if group.end - group.start <= (_MAX_LIST if separable else _MAX_ANSWER):
            groups.update(dict.fromkeys(range(first, stop), (group, separable)))

    def _has_words(self, at: int) -> bool:
        span = self._spans[at]
        return self._roles[at] is not Role.NOTHING and self._unlabelled(span) < span.end

    def _list_stop(self, first: int) -> int:
        at = first
        while at < len(self._spans) and self._belongs(at, first):
            at += 1
        return at

    def _body_stop(self, head: int) -> int:
        """The place after the last sentence that belongs to the question or label at `head`."""
        at = head + 1
        while at < len(self._spans):
            role = self._roles[at]
            ended = role in (Role.QUESTION, Role.HEADING, Role.LABEL)
            if ended or (self._gaps[at] == 2 and not self._just_after(head, at)):
                break
            at += 1
        return at
