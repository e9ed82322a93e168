"""Entities as everybody names them, and as a client sees them.

An entity is a small piece of durable state with operations on it. It has a name (which code it is)
and a key (which one it is), and comes into being with the first operation that is sent to it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from durabletask.errors import InvalidRequestError
from durabletask.limits import MAX_TEXT, check_text
from durabletask.serialization import DEFAULT_CONVERTER, DataConverter

__all__ = [
    "EntityId",
    "EntityPage",
    "EntityQuery",
    "EntityState",
    "check_entity_query",
    "is_entity",
]


def is_entity(instance_id: str) -> bool:
    """Whether this is the id of an entity and not that of an orchestration."""
    return instance_id.startswith("@")


class EntityId(msgspec.Struct, frozen=True, order=True):
    """Which entity: the name of its code, and a key of its own.

    Names ignore case and are kept in lower case; keys are exact. ``str()`` gives the one text by
    which the entity is known to every backend, ``@name@key``; :meth:`parse` reads it.

    Raises:
        InvalidRequestError: the name or the key is blank, the name contains ``@``, or both
            together are too long.
        ArgumentTypeError: one of them is no text.

    Example::

        cart = EntityId("Cart", "ada")
        assert str(cart) == "@cart@ada"
    """

    name: str
    key: str

    def __post_init__(self) -> None:
        check_text(self.name, "the name of an entity")
        check_text(self.key, "the key of an entity")
        if "@" in self.name:
            raise InvalidRequestError(f"the name of an entity must not contain '@': {self.name!r}")
        msgspec.structs.force_setattr(self, "name", self.name.lower())
        if len(str(self)) > MAX_TEXT:
            raise InvalidRequestError(
                f"the entity id {str(self)[:40]!r}... has {len(str(self))} characters; at most "
                f"{MAX_TEXT} are allowed"
            )

    def __str__(self) -> str:
        return f"@{self.name}@{self.key}"

    @classmethod
    def parse(cls, text: str) -> EntityId:
        """The entity that ``str()`` has written as ``text``.

        Raises:
            InvalidRequestError: that is not the id of an entity.
        """
        mark, name, key = ("", "", "")
        if text.startswith("@"):
            name, mark, key = text[1:].partition("@")
        if not mark:
            raise InvalidRequestError(f"an entity id looks like '@name@key', not like {text!r}")
        return cls(name, key)


class EntityState(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of one entity that exists: it has a state, a lock, or operations that wait.

    Attributes:
        entity_id: which one.
        last_modified: when it last did something.
        serialized_state: its state as JSON text; None if it has none, or was not asked for.
        has_state: whether it has one.
        locked_by: id of the orchestration that holds it locked, or None.
        backlog: operations that have arrived and wait for the lock to be released.
    """

    entity_id: EntityId
    last_modified: datetime
    serialized_state: str | None = None
    has_state: bool = False
    locked_by: str | None = None
    backlog: int = 0
    converter: DataConverter = DEFAULT_CONVERTER

    @property
    def state(self) -> Any:
        """The state as plain JSON data."""
        return self.get_state()

    def get_state(self, type: Any = None) -> Any:
        """The state rebuilt as ``type``. Raises SerializationError if it does not fit."""
        where = f"the state of entity '{self.entity_id}'"
        return self.converter.deserialize(self.serialized_state, type, where=where)


class EntityQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which entities to list; every given field narrows the answer.

    Attributes:
        name: exact name, without regard to case.
        key_prefix: keys that begin with this text; only together with a name.
        modified_from, modified_to: ``from <= last_modified < to``, aware UTC.
        include_state: False leaves the states out.
        include_transient: those without a state too, which are locked or have operations waiting.
        page_size: entities looked at for a page, 1 to 10,000; a page may hold less.
        continuation_token: where the last page ended, opaque.
    """

    name: str | None = None
    key_prefix: str | None = None
    modified_from: datetime | None = None
    modified_to: datetime | None = None
    include_state: bool = True
    include_transient: bool = False
    page_size: int = 100
    continuation_token: str | None = None


class EntityPage(msgspec.Struct, frozen=True):
    """One page of a query, in the order in which they came into being; no token on the last."""

    items: list[EntityState]
    continuation_token: str | None = None


def check_entity_query(query: EntityQuery) -> None:
    """Raise unless the query makes sense.

    Raises:
        InvalidRequestError: it does not.
    """
    if not 1 <= query.page_size <= 10_000:
        raise InvalidRequestError(f"page_size must be between 1 and 10,000, not {query.page_size}")
    if query.key_prefix is not None and query.name is None:
        raise InvalidRequestError("key_prefix needs a name: keys belong to one kind of entity")
