"""Random messages of any type, made from its descriptor: bounds, odd texts, and what might be pasted."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

_TEXTS = (
    "",
    " ",
    "default",
    "ko",
    "연차 휴가는 며칠인가요?",
    "a" * 4_001,
    "\x00",
    "$where",
    "' OR '1'='1",
    "../../etc/passwd",
    "\u202eabc",
    "\u200b",
    "\ufeff",
    "e\u0301" * 2_000,
    "ﷺ" * 300,
    "🙂",
    "\ud7b0\u1160\u11a8",
)
_EDGES = (0, 1, -1, 10, 100, 101, 1_000, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63))
_INTEGERS = st.one_of(st.sampled_from(_EDGES), st.integers(-(2**63), 2**64 - 1))
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
_VALUES: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_ENUM: st.sampled_from((0, 1, 2, 3, 4, 77, -1, 2**31 - 1)),
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(),
    FieldDescriptor.CPPTYPE_FLOAT: st.floats(width=32),
    FieldDescriptor.CPPTYPE_STRING: st.one_of(st.sampled_from(_TEXTS), st.text(max_size=40)),
}


@st.composite
def messages(draw: Callable[[st.SearchStrategy[Any]], Any], descriptor: Descriptor) -> Message:
    """A message with some of its fields set, at any depth."""
    message: Message = GetMessageClass(descriptor)()
    _fill(draw, message, descriptor)
    return message


def _fill(draw: Callable[[Any], Any], message: Any, descriptor: Descriptor) -> None:
    if descriptor.full_name == "google.protobuf.Struct":
        message.update(draw(st.dictionaries(st.text(max_size=8), _JSON, max_size=4)))
        return
    for field in _chosen(draw, descriptor.fields):
        count = draw(st.sampled_from((1, 1, 2, 3, 70))) if field.is_repeated else 1
        for _ in range(count):
            _set(draw, message, field)


def _chosen(
    draw: Callable[[Any], Any], fields: Sequence[FieldDescriptor]
) -> Iterator[FieldDescriptor]:
    """Some of the fields, in an order that is the same each time the same is drawn."""
    if fields:
        places = draw(st.lists(st.integers(0, len(fields) - 1), unique=True, max_size=8))
        yield from (fields[place] for place in places)


def _set(draw: Callable[[Any], Any], message: Any, field: FieldDescriptor) -> None:
    target = getattr(message, field.name)
    if field.message_type:
        inner = target.add() if field.is_repeated else target
        inner.SetInParent()
        _fill(draw, inner, field.message_type)
        return
    value = draw(_values(field))
    try:
        if field.is_repeated:
            target.append(value)
        else:
            setattr(message, field.name, value)
    except (ValueError, OverflowError):
        return  # the field's type cannot hold it, so that nobody can send it either


def _values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=40)
    return _VALUES.get(field.cpp_type, _INTEGERS)
