"""Starting an instance inside a transaction of the user's own, on the user's own connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from durabletask.errors import ArgumentTypeError, InvalidRequestError
from durabletask.postgres.faults import TROUBLE, refused

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["start_within"]


async def start_within(
    connection: object, statement: str, arguments: Sequence[Any], place: str
) -> bool:
    """Run ``start_v1`` in the transaction that is open on ``connection``.

    Returns:
        False if the id is taken.

    Raises:
        ArgumentTypeError, InvalidRequestError: it is no connection, or has no open transaction.
        BackendError: the server refuses it; the transaction is to be rolled back.
    """
    if not isinstance(connection, (asyncpg.Connection, PoolConnectionProxy)):
        raise ArgumentTypeError(
            "to start inside a transaction in PostgreSQL, pass the asyncpg.Connection that it is "
            f"open on, not {type(connection).__name__}"
        )
    if not connection.is_in_transaction():
        raise InvalidRequestError(
            "the connection has no open transaction: use it inside `async with "
            "connection.transaction()`, or leave the connection out"
        )
    try:
        return bool(await connection.fetchval(statement, *arguments))
    except TROUBLE as error:
        raise refused(error, place) from error
