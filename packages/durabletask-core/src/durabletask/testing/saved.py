"""Histories as JSON files, to be kept beside the code that must go on with them."""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from durabletask.engine import from_micros, to_micros
from durabletask.errors import SerializationError
from durabletask.history import EntityCaller, EntityLockHolder, HistoryEvent
from durabletask.state import FailureDetails, ParentInstance

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["format_history", "load_history", "parse_history", "save_history"]

_FORMAT = "durabletask-history"
_VERSION = 1

_KINDS: dict[str, type[msgspec.Struct]] = {kind.__name__: kind for kind in get_args(HistoryEvent)}
_INSTANTS = {"fire_at", "scheduled_at", "scheduled_start_at", "timestamp"}
_RECORDS: dict[str, type[msgspec.Struct]] = {
    "caller": EntityCaller,
    "cause": FailureDetails,
    "failure": FailureDetails,
    "lock": EntityLockHolder,
    "parent": ParentInstance,
}
"""Fields that hold a record of their own, and its type."""


def save_history(path: str | os.PathLike[str], history: Sequence[HistoryEvent]) -> None:
    """Write a history, as ``get_orchestration_history`` gives it, to a JSON file.

    Example::

        save_history("order-7.json", await client.get_orchestration_history("order-7"))

    The text is the same for the same history, and made to be read: kinds and fields have their
    names, instants are ISO 8601 in UTC. Payloads stay the JSON text they are.
    """
    with open(path, "w", encoding="utf-8") as file:
        file.write(format_history(history))


def load_history(path: str | os.PathLike[str]) -> list[HistoryEvent]:
    """Read what ``save_history`` has written, in this or an earlier version of the library.

    Raises:
        SerializationError: the file is no saved history, or one of a later version.
        OSError: it cannot be read.
    """
    with open(path, encoding="utf-8") as file:
        return parse_history(file.read(), where=os.fspath(path))


def format_history(history: Sequence[HistoryEvent]) -> str:
    """The text of a saved history."""
    events = [{"kind": type(event).__name__, **_plain(event)} for event in history]
    document = {"format": _FORMAT, "version": _VERSION, "events": events}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def parse_history(text: str | bytes, *, where: str = "the text") -> list[HistoryEvent]:
    """The events of such a text; ``where`` tells in errors what it is. Raises as above."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SerializationError(f"{where} is no saved history: it is no JSON ({error})") from None
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise SerializationError(
            f"{where} is no saved history: it does not say {_FORMAT!r}; write it with save_history"
        )
    if document.get("version") != _VERSION:
        raise SerializationError(
            f"{where} is a saved history of version {document.get('version')!r}, and this library "
            f"reads version {_VERSION}: upgrade durabletask-core"
        )
    events = document.get("events")
    if not isinstance(events, list):
        raise SerializationError(f"{where} is damaged: it has no list of events")
    return [_event(event, f"event {number} in {where}") for number, event in enumerate(events, 1)]


# --- one record --------------------------------------------------------------------------------


def _plain(record: msgspec.Struct) -> dict[str, Any]:
    """The fields of a record that differ from their defaults."""
    plain: dict[str, Any] = {}
    for field in msgspec.structs.fields(record):
        value = getattr(record, field.name)
        if value == field.default:
            continue
        if isinstance(value, msgspec.Struct):
            value = _plain(value)
        elif field.name in _INSTANTS:
            value = from_micros(value).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
        plain[field.name] = value
    return plain


def _event(plain: object, where: str) -> HistoryEvent:
    kind = plain.pop("kind", None) if isinstance(plain, dict) else None
    if kind not in _KINDS:
        raise SerializationError(f"{where} has the unknown kind {kind!r}")
    event: HistoryEvent = _record(_KINDS[kind], plain, f"{where}, {kind}")
    return event


def _record(kind: type[Any], plain: object, where: str) -> Any:
    if not isinstance(plain, dict):
        raise SerializationError(f"{where}, is no object")
    fields = msgspec.structs.fields(kind)
    unknown = plain.keys() - {field.name for field in fields}
    if unknown:
        raise SerializationError(f"{where}, has unknown fields: {', '.join(sorted(unknown))}")
    values = {name: _value(name, value, where) for name, value in plain.items()}
    try:
        record = kind(**values)
        # A struct checks nothing when it is built; by way of its own encoding it does.
        return msgspec.convert(msgspec.to_builtins(record), type=kind)
    except (TypeError, msgspec.ValidationError) as error:
        raise SerializationError(f"{where}, is damaged: {error}") from None


def _value(name: str, value: Any, where: str) -> Any:
    if value is None:
        return None
    if name in _RECORDS:
        return _record(_RECORDS[name], value, f"{where}, {name}")
    if name in _INSTANTS:
        try:
            return to_micros(datetime.fromisoformat(value))
        except (TypeError, ValueError):
            raise SerializationError(f"{where}, {name} is no instant: {value!r}") from None
    return value
