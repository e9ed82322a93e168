"""Deleting instances with all that belongs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.stores.sqlite.schema import THEIR_ENTRIES
from durabletask.stores.sqlite.values import numbers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from durabletask.stores.sqlite.database import Database

__all__ = ["erase"]

STATEMENTS = (
    f"DELETE FROM history WHERE {THEIR_ENTRIES}",
    "DELETE FROM inbox WHERE instance IN (SELECT value FROM json_each(?))",
    "DELETE FROM activities WHERE instance IN (SELECT value FROM json_each(?))",
    "DELETE FROM instances WHERE ordinal IN (SELECT value FROM json_each(?))",
)


def erase(database: Database, ordinals: Iterable[int]) -> None:
    """Delete the instances and whatever refers to them. Inside a write transaction."""
    these = (numbers(ordinals),)
    for statement in STATEMENTS:
        database.run(statement, these)
