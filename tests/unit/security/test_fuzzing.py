"""Whatever bytes come from outside: they are read, or refused with an error that says so."""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from durabletask.engine import Entity
from durabletask.errors import (
    BackendUnavailableError,
    BackendUrlError,
    DurableTaskError,
    InvalidRequestError,
    SerializationError,
)
from durabletask.history import (
    EntityCaller,
    EntityLockRequested,
    EntityOperationCalled,
    EntityUnlockSent,
    EventRaised,
    ExecutionStarted,
    TaskFailed,
    TaskScheduled,
    decode_chunk,
    decode_event,
    encode_chunk,
    encode_event,
)
from durabletask.plugins.url import parse_url
from durabletask.serialization import DEFAULT_CONVERTER
from durabletask.state import FailureDetails, OrchestrationQuery
from durabletask.stores.memory import MemoryStore
from durabletask.stores.sqlite import SQLiteStore
from durabletask.testing.saved import format_history, parse_history

if TYPE_CHECKING:
    from pathlib import Path

    from durabletask.store import Store

# --- bytes of history --------------------------------------------------------------------------

EVENTS = [
    ExecutionStarted("order", "i", "x", '{"n":1}', "1", None, {"k": "v"}, 5),
    TaskScheduled(1, "pay", "[1]", None, {"t": "x"}),
    TaskFailed(1, FailureDetails("E", "m", "s", FailureDetails("C", "m"))),
    EventRaised("go", None),
]
CHUNK = encode_chunk(EVENTS)


@st.composite
def mutilated(draw: st.DrawFn, whole: bytes) -> bytes:
    """Bytes that were once good: some are changed, cut out, or put in."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 6)))
        data[start:end] = draw(st.binary(max_size=6))
    return bytes(data)


@settings(max_examples=1000)
@given(st.binary(max_size=300) | mutilated(CHUNK) | st.binary(max_size=300).map(b"\x01".__add__))
@example(b"")
@example(b"\x01")
@example(b"\x01" + b"\x91" * 5000)
@example(b"\x01" + b"\xdd\xff\xff\xff\xff")
@example(b"\x01" + b"\xc6\xff\xff\xff\xff")
def test_a_chunk_is_events_or_unreadable(data: bytes) -> None:
    """**failure-infra** A damaged chunk is trouble of the store, never a crash of the worker."""
    try:
        events = decode_chunk(data)
    except BackendUnavailableError:
        return
    assert decode_chunk(encode_chunk(events)) == events


@settings(max_examples=1000)
@given(st.binary(max_size=300) | mutilated(encode_event(EVENTS[2])))
@example(b"\x91" * 5000)
def test_a_message_is_an_event_or_unreadable(body: bytes) -> None:
    """**failure-infra** The same of the body of a message."""
    try:
        event = decode_event(body)
    except BackendUnavailableError:
        return
    assert decode_event(encode_event(event)) == event


@settings(max_examples=500)
@given(
    st.text(max_size=200)
    | mutilated(format_history(EVENTS).encode()).map(lambda data: data.decode("utf-8", "replace"))
)
@example("[" * 100_000)
@example('{"format":"durabletask-history","version":1,"events":[{"kind":"__import__"}]}')
def test_a_saved_history_is_one_or_refused(text: str) -> None:
    """A file of a history may come from anywhere."""
    try:
        events = parse_history(text, where="a test")
    except SerializationError:
        return
    assert parse_history(format_history(events), where="again") == events


CALLER = EntityCaller("order", "x")
REQUESTS = [
    EntityOperationCalled(1, "@e@k", "add", "1", CALLER),
    EntityLockRequested(2, ("@e@k", "@e@l"), 0, CALLER),
    EntityUnlockSent(3, "@e@k", 2, CALLER, ("@e@l",)),
]


def remembering() -> str:
    """What an entity writes down that has something of everything."""
    entity = Entity()
    entity.advanced(entity.plan([REQUESTS[1], *REQUESTS], 1), '"state"')
    return entity.snapshot()


@settings(max_examples=1000)
@given(st.text(max_size=200) | mutilated(remembering().encode()).map(lambda b: b.decode("latin-1")))
def test_a_memory_is_one_or_unreadable(text: str) -> None:
    """**failure-infra** A damaged entity is trouble of the store, never a crash of the worker."""
    try:
        entity = Entity(text)
    except BackendUnavailableError as error:
        assert "the state of an entity" in str(error)
    else:
        entity.plan([], 10)


@settings(max_examples=500)
@given(st.lists(mutilated(b"") | st.sampled_from(REQUESTS).map(encode_event).flatmap(mutilated)))
def test_an_entity_takes_whatever_can_be_read(bodies: list[bytes]) -> None:
    """**failure-infra** A request that makes no sense does no harm to those who wait behind it."""
    entity = Entity()
    for body in bodies:
        try:
            event = decode_event(body)
        except BackendUnavailableError:
            continue
        entity.advanced(entity.plan([event], 10), None)


# --- texts -------------------------------------------------------------------------------------

URL_TEXT = st.text(st.sampled_from("sqlite:/?#[]@!$&'()*+,;=%\\ \t\n\0aZ0.-_~é\ud800"), max_size=40)


@settings(max_examples=1000)
@given(st.text(max_size=60) | URL_TEXT | URL_TEXT.map("sqlite://".__add__))
@example("sqlite:///" + "a" * 100_000)
@example("postgresql://user:p%40ss@[::1]:5432/db?task_hub=x&task_hub=y")
def test_a_url_is_parsed_or_refused(text: str) -> None:
    """A URL gives a BackendUrl, or an error that says what is wrong with it."""
    try:
        parsed = parse_url(text)
    except BackendUrlError:
        return
    assert str(parse_url(parsed.reveal())) == str(parsed)


@given(st.text(st.characters(categories=("L", "N")), min_size=12, max_size=20))
def test_no_error_about_a_url_shows_its_password(secret: str) -> None:
    """Whatever else is wrong with a URL, what stands in the place of the password is not shown."""
    for broken in ("post gres", "", "nothing", "sqlite"):
        try:
            shown = repr(parse_url(f"{broken}://user:{secret}@host:port/db?x"))
        except BackendUrlError as error:
            shown = f"{error!r} {error.__cause__!r} {error.__context__!r}"
        assert secret not in shown


class Colour(Enum):
    RED = "red"


@dataclass
class Order:
    number: int
    price: Decimal
    due: datetime | None
    colour: Colour
    lines: list[tuple[str, int]] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)


TYPES = [Order, list[Order], Order | None, dict[str, Colour], date, timedelta, UUID, bytes, None]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["number", "price", "due", "colour", "lines", "__class__", "type"]),
            inner,
        )
    ),
    max_leaves=12,
).map(json.dumps)


@settings(max_examples=1000)
@given(JSON | st.text(max_size=40), st.sampled_from(TYPES))
@example("[" * 100_000, None)
@example("[" * 100_000 + "]" * 100_000, list[Any])
@example('{"a":' * 50_000 + "1" + "}" * 50_000, None)
@example("1" * 10_000, None)
@example('{"__reduce__": ["os.system", ["false"]]}', Order)
def test_a_payload_is_a_value_or_refused(text: str, kind: Any) -> None:
    """**failure-serialize** Depth, size and shape of a payload end in an error that names it."""
    try:
        DEFAULT_CONVERTER.deserialize(text, kind, where="the input of a test")
    except SerializationError as error:
        assert "the input of a test" in str(error)


# --- tokens ------------------------------------------------------------------------------------

_hubs = itertools.count()


async def ask(store: Store, token: str) -> None:
    """Query with a continuation token of unknown origin."""
    await store.open()
    try:
        await store.query_instances(OrchestrationQuery(continuation_token=token))
    finally:
        await store.close()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_token_is_ours_or_refused(kind: str, tmp_path: Path) -> None:
    """A continuation token is text from outside; it never becomes part of a statement."""
    tokens = ["", "[]", "[1]", '["1","a"]', "[1,2]", "null", "[1,'a'] OR 1=1 --", "[" * 10_000]
    tokens += [f'[{2**70},"a"]', '[1.5,"a"]', '[true,"a"]', '[1,"a\\u0000"]', "\0", "é"]
    for token in tokens:
        store: Store = (
            MemoryStore(f"fuzz-{next(_hubs)}")
            if kind == "memory"
            else SQLiteStore(tmp_path / "hub.db")
        )
        with pytest.raises(InvalidRequestError, match="continuation token"):
            asyncio.run(ask(store, token))
    asyncio.run(ask(MemoryStore(f"fuzz-{next(_hubs)}"), '[-1,"\'; DROP TABLE instances; --"]'))


def test_every_error_is_one_of_ours() -> None:
    """Whoever catches DurableTaskError catches them all."""
    for kind in (BackendUnavailableError, BackendUrlError, InvalidRequestError, SerializationError):
        assert issubclass(kind, DurableTaskError)
    assert not issubclass(msgspec.MsgspecError, DurableTaskError)
