"""Queries walk an index that holds what they look for, so waiting instances cost nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from durabletask.stores.sqlite import SQLiteOptions, commit, erase, poll, queries, schema
from durabletask.stores.sqlite.database import Database
from durabletask.stores.sqlite.guard import CommitGuard

if TYPE_CHECKING:
    from pathlib import Path

IDS = " WHERE hub = 1 AND instance_id IN (?, ?)"

STATEMENTS = {
    "due": poll.DUE,
    "inbox": poll.INBOX,
    "queued": poll.QUEUED,
    "due but refused": poll.DUE_BUT,
    "next due": poll.NEXT_DUE,
    "next due but refused": poll.NEXT_DUE_BUT,
    "claim": poll.CLAIM,
    "claimed": poll.CLAIMED,
    "messages": poll.MESSAGES,
    "spilled": poll.SPILLED,
    "claimed activities": poll.CLAIMED_ACTIVITIES,
    "unclaimed": poll.UNCLAIMED,
    "rewake": schema.REWAKE,
    "mentioned": commit.MENTIONED.format(hub=1) + "?, ?)",
    "consume": "(?, ?), (?, ?)".join(commit.CONSUME),
    "children": commit.CHILDREN,
    "unpark": commit.UNPARK,
    "get": queries.WITH_PAYLOADS + IDS,
    "page": queries.WITH_PAYLOADS
    + " WHERE hub = ? AND (created_at, instance_id) > (?, ?) ORDER BY created_at, instance_id",
    "chunks": queries.CHUNKS,
    **{f"erase {n}": statement for n, statement in enumerate(erase.STATEMENTS)},
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_scans_a_table(path: Path, name: str) -> None:
    """Only lists that came as parameters are walked from end to end."""
    sql = STATEMENTS[name]
    database = Database(str(path), SQLiteOptions(), CommitGuard(str(path)))
    database.open()
    named = dict.fromkeys(re.findall(r":(\w+)", sql), "[]")
    plan = database.rows(f"EXPLAIN QUERY PLAN {sql}", named or ["[]"] * sql.count("?"))
    database.close()
    scans = [step for *_, step in plan if re.match("SCAN (?!known|json_each|v$|.*CONSTANT)", step)]
    assert scans == []
    assert any(step.startswith("SEARCH") for *_, step in plan)
