"""Messages of the protocol as nobody sensible sends them: right by the schema, and broken."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

__all__ = ["IDS", "damaged", "messages"]

IDS = [
    "known",
    "victim",
    "nobody",
    "",
    " ",
    "@entity@key",
    "i" * 300,
    "\0",
    "a/b",
    "é",
    "\U0001f4a3",
]
"""Ids and names: some of instances that are there, and some that none may have."""

_I32 = st.sampled_from([0, 1, -1, 2, 100, 2**31 - 1, -(2**31)]) | st.integers(-3, 9)
_I64 = st.sampled_from([0, 1, -1, 1_700_000_000, 2**63 - 1, -(2**63), 253_402_300_799, 10**12])
_TEXTS = st.sampled_from([*IDS, "{}", '"x"', "[" * 2000, "1e999", "NaN"]) | st.text(
    st.characters(exclude_categories=("Cs",)), max_size=12
)
_DOUBLES = st.sampled_from([0.0, -1.0, 1e308, float("nan"), float("inf"), 2.0**53])

_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_INT32: _I32,
    FieldDescriptor.TYPE_INT64: _I64,
    FieldDescriptor.TYPE_DOUBLE: _DOUBLES,
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_STRING: _TEXTS,
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=40),
    # Enums of this syntax are open: a number that nobody has named arrives as it is.
    FieldDescriptor.TYPE_ENUM: st.sampled_from([*range(9), 99, -1]),
}

_DEEPEST = 90
"""Levels of a chain of failures: the parsers of all languages stop near a hundred."""


@st.composite
def messages(draw: st.DrawFn, kind: Any, depth: int = 5) -> Any:
    """A message of this class: any field absent, any oneof open, values the worst there are."""
    message = kind()
    for field in _chosen(draw, kind.DESCRIPTOR):
        _fill(draw, message, field, depth)
    return message


def _chosen(draw: st.DrawFn, descriptor: Descriptor) -> list[FieldDescriptor]:
    """The fields that are set: of a oneof at most one."""
    single = [field for field in descriptor.fields if field.containing_oneof is None]
    chosen = [field for field in single if draw(st.booleans())]
    for oneof in descriptor.oneofs:
        if draw(st.integers(0, 9)):
            chosen.append(draw(st.sampled_from(list(oneof.fields))))
    return chosen


def _fill(draw: st.DrawFn, message: Any, field: FieldDescriptor, depth: int) -> None:
    kind = field.message_type
    if field.name == "innerFailure":
        _nest(message, draw(st.sampled_from([0, 1, 5, 40, _DEEPEST])))
    elif kind is None:
        if field.is_repeated:
            getattr(message, field.name).extend(
                draw(st.lists(_SCALARS[field.type], max_size=3)),
            )
        else:
            setattr(message, field.name, draw(_SCALARS[field.type]))
    elif depth == 0:
        return
    elif kind.GetOptions().map_entry:
        _fill_map(draw, getattr(message, field.name), kind, depth)
    elif field.is_repeated:
        inner = messages(GetMessageClass(kind), depth - 1)
        getattr(message, field.name).extend(draw(st.lists(inner, max_size=3)))
    else:
        getattr(message, field.name).CopyFrom(draw(messages(GetMessageClass(kind), depth - 1)))


def _fill_map(draw: st.DrawFn, target: Any, entry: Descriptor, depth: int) -> None:
    value = entry.fields_by_name["value"]
    for key in draw(st.lists(_TEXTS, max_size=2)):
        if value.message_type is None:
            target[key] = draw(_SCALARS[value.type])
        else:
            inner = messages(GetMessageClass(value.message_type), min(depth, 2) - 1)
            target[key].CopyFrom(draw(inner))


def _nest(failure: Any, levels: int) -> None:
    for _ in range(levels):
        failure = failure.innerFailure
        failure.errorMessage = "deeper"


@st.composite
def damaged(draw: st.DrawFn, kind: Any) -> bytes:
    """Bytes that were a message once, or never."""
    if draw(st.integers(0, 3)) == 0:
        return draw(st.binary(max_size=60))
    data = bytearray(draw(messages(kind, 3)).SerializeToString())
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 6)))
        data[start:end] = draw(st.binary(max_size=6))
    return bytes(data)
