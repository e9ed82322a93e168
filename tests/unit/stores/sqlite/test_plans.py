"""Queries walk an index that holds what they look for, so waiting instances cost nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from durabletask.state import OrchestrationQuery, OrchestrationStatus
from durabletask.stores.sqlite import SQLiteOptions, commit, erase, poll, queries, schema
from durabletask.stores.sqlite.database import Database
from durabletask.stores.sqlite.guard import CommitGuard

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

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
    "idle": queries.IDLE.format(hub=1) + "?, ?)",
    "chunks": queries.CHUNKS,
    **{f"erase {n}": statement for n, statement in enumerate(erase.STATEMENTS)},
}


def plan_of(path: Path, sql: str) -> list[str]:
    """The steps of a statement in a new file."""
    database = Database(str(path), SQLiteOptions(), CommitGuard(str(path)))
    database.open()
    named = dict.fromkeys(re.findall(r":(\w+)", sql), "[]")
    plan = database.rows(f"EXPLAIN QUERY PLAN {sql}", named or ["[]"] * sql.count("?"))
    database.close()
    return [step for *_, step in plan]


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_scans_a_table(path: Path, name: str) -> None:
    """Only lists that came as parameters are walked from end to end."""
    plan = plan_of(path, STATEMENTS[name])
    assert [s for s in plan if re.match("SCAN (?!known|json_each|v$|.*CONSTANT)", s)] == []
    assert any(step.startswith("SEARCH") for step in plan)


@pytest.mark.parametrize(
    "query",
    [
        OrchestrationQuery(),
        OrchestrationQuery(continuation_token='[7,"a"]'),
        OrchestrationQuery(
            statuses=frozenset({OrchestrationStatus.RUNNING}), name="Order", tags={"a": "b"}
        ),
        OrchestrationQuery(created_from=NOON, completed_to=NOON),
        OrchestrationQuery(instance_id_prefix="order-"),
        OrchestrationQuery(instance_id_prefix="@counter@"),
        OrchestrationQuery(instance_id_prefix="@counter@", continuation_token='[7,"@a@b"]'),
    ],
)
def test_a_page_is_read_from_the_index_of_its_half(path: Path, query: OrchestrationQuery) -> None:
    """In its order, from where it begins; no entity is read for a page of orchestrations."""
    conditions = queries.Conditions(1)
    conditions.add_all(query)
    plan = plan_of(path, queries.page(conditions, payloads=False))
    prefix = query.instance_id_prefix or ""
    index = "instances_entities" if prefix.startswith("@") else "instances_created"
    assert any(s.startswith(f"SEARCH instances USING INDEX {index} (hub=?") for s in plan), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan
