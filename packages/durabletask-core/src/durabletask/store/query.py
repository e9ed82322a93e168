"""What stores need for queries: the conditions in the units of rows, and where a page ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple, Protocol

import msgspec

from durabletask.engine import to_micros
from durabletask.entities import is_entity
from durabletask.errors import InvalidRequestError
from durabletask.limits import is_storable

if TYPE_CHECKING:
    from datetime import datetime

    from durabletask.state import OrchestrationQuery

__all__ = ["Position", "Span", "Wanted", "position_of", "token_of"]

Position = tuple[int, str]
"""Where pages stand: creation in microseconds, then the instance id."""

Span = tuple[int | None, int | None]
"""From an instant to before another, in microseconds; None leaves a side open."""

_Micros = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[_Micros, str]).decode


def token_of(position: Position) -> str:
    """The continuation token of a page that ended there."""
    return _encode(position).decode()


def position_of(token: str | None) -> Position | None:
    """Where the page ended that gave this token; None without one.

    Raises:
        InvalidRequestError: no page did.
    """
    if token is None:
        return None
    try:
        position: Position = _decode(token)
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise _foreign(token) from error
    if not is_storable(position[1]):
        raise _foreign(token)
    return position


def _foreign(token: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"the continuation token {token!r} was not given by a query of this backend"
    )


class Row(Protocol):
    """What conditions look at."""

    @property
    def instance_id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def created_at(self) -> int: ...
    @property
    def completed_at(self) -> int | None: ...
    @property
    def tags(self) -> dict[str, str] | None: ...


class Wanted(NamedTuple):
    """The conditions of a query, in the units of rows.

    Attributes:
        statuses: empty takes all.
        prefix: of the id. Ids that begin with ``@``, those of entities, fit only one that does too.
        created, completed: of these; an unfinished instance is in no span of completion.
    """

    statuses: frozenset[str]
    name: str | None
    prefix: str
    tags: dict[str, str]
    created: Span
    completed: Span

    @classmethod
    def of(cls, query: OrchestrationQuery) -> Wanted:
        """Those of a query."""
        return cls(
            statuses=frozenset(status.value for status in query.statuses),
            name=query.name,
            prefix=query.instance_id_prefix or "",
            tags=query.tags,
            created=(_instant(query.created_from), _instant(query.created_to)),
            completed=(_instant(query.completed_from), _instant(query.completed_to)),
        )

    @property
    def takes_entities(self) -> bool:
        """Whether entities are among what is asked for; then nothing else is."""
        return is_entity(self.prefix)

    def fits(self, row: Row) -> bool:
        """Whether a row meets all of them."""
        return (
            (not self.statuses or row.status in self.statuses)
            and (self.name is None or row.name == self.name)
            and row.instance_id.startswith(self.prefix)
            and (self.takes_entities or not is_entity(row.instance_id))
            and self.tags.items() <= (row.tags or {}).items()
            and _within(row.created_at, self.created)
            and _within(row.completed_at, self.completed)
        )


def _instant(moment: datetime | None) -> int | None:
    return None if moment is None else to_micros(moment)


def _within(instant: int | None, span: Span) -> bool:
    start, end = span
    if start is None and end is None:
        return True
    return (
        instant is not None
        and (start is None or start <= instant)
        and (end is None or instant < end)
    )
