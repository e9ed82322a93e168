"""Queries: instances by filter, in pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durabletask.state import OrchestrationQuery, OrchestrationStatus
from durabletask.store import InstanceUpdate, Store
from durabletask.testing.conformance.store.driver import (
    CREATED_AT,
    LaneDriver,
    finish,
    instance,
    turn,
)
from durabletask.testing.conformance.store.fixtures import StoreFixtures

__all__ = ["QuerySuite"]

SECOND = 1_000_000


def moment(instant: int) -> datetime:
    """The same instant as callers spell it."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)


async def ids(store: Store, **fields: Any) -> list[str]:
    """The ids on the first page of a query."""
    records, _ = await store.query_instances(OrchestrationQuery(**fields))
    return [record.instance_id for record in records]


@pytest.mark.asyncio
class QuerySuite(StoreFixtures):
    """``query_instances``, on stores that declare ``query``; every given field narrows."""

    needs = "query"

    async def test_an_empty_hub_has_an_empty_page(self, store: Store) -> None:
        """No instances: one empty page, and no token."""
        assert await store.query_instances(OrchestrationQuery()) == ([], None)

    async def test_instances_come_by_creation_then_id(self, store: Store) -> None:
        """Ordered by ``(created_at, instance_id)``, ids by code point."""
        lane = await LaneDriver.open(store)
        for name, age in (("b", 1), ("z", 2), ("é", 1), ("a", 1), ("c", 0), ("B", 1), ("a-", 1)):
            await lane.start(name, created_at=CREATED_AT - age)
        assert await ids(store) == ["z", "B", "a", "a-", "b", "é", "c"]

    @pytest.mark.parametrize("page_size", [1, 3, 10, 11])
    async def test_pages_make_up_the_whole(self, store: Store, page_size: int) -> None:
        """Following the tokens gives every instance once; the last page has no token."""
        lane = await LaneDriver.open(store)
        names = [f"i{n}" for n in range(10)]
        for n, name in enumerate(names):
            await lane.start(name, created_at=CREATED_AT + n // 4)
        pages: list[list[str]] = []
        token: str | None = None
        for _ in range(20):
            query = OrchestrationQuery(page_size=page_size, continuation_token=token)
            records, token = await store.query_instances(query)
            pages.append([record.instance_id for record in records])
            if token is None:
                break
        assert [name for page in pages for name in page] == names
        assert all(len(page) == page_size for page in pages[:-1])
        assert 0 < len(pages[-1]) <= page_size, "no empty last page"

    async def test_pages_hold_while_instances_come_and_go(self, store: Store) -> None:
        """A token means a place in the order, not a number of rows."""
        lane = await LaneDriver.open(store)
        for n in range(4):
            await lane.start(f"i{n}", created_at=CREATED_AT + n * SECOND)
        records, token = await store.query_instances(OrchestrationQuery(page_size=2))
        assert [record.instance_id for record in records] == ["i0", "i1"]
        await lane.commit(turns=[finish("i1")])
        await store.purge_instances(["i1"], recursive=False)
        await lane.start("early", created_at=CREATED_AT - SECOND)
        await lane.start("between", created_at=CREATED_AT + 2 * SECOND + 1)
        assert await ids(store, page_size=9, continuation_token=token) == ["i2", "between", "i3"]

    async def test_a_row_is_complete(self, store: Store) -> None:
        """A query gives the same rows as ``get_instances``, payloads on request."""
        lane = await LaneDriver.open(store)
        await lane.start("a", input='"in"', tags={"k": "v"}, version="1")
        update = InstanceUpdate(status="FAILED", output="1", custom_status="2", failure=b"f")
        await lane.commit(turns=[turn("a", 0, update=update)])
        for payloads in (True, False):
            records, _ = await store.query_instances(OrchestrationQuery(fetch_payloads=payloads))
            found = await store.get_instances(["a"], payloads=payloads)
            assert records == [found["a"]]

    async def test_by_status(self, store: Store) -> None:
        """Any of the statuses; empty means all."""
        lane = await LaneDriver.open(store)
        await lane.start("pending", "running", "done", "failed")
        await lane.commit(
            turns=[turn("running", 0), finish("done"), finish("failed", status="FAILED")]
        )
        status = OrchestrationStatus
        assert await ids(store, statuses=frozenset({status.RUNNING})) == ["running"]
        wanted = frozenset({status.FAILED, status.PENDING, status.SUSPENDED})
        assert await ids(store, statuses=wanted) == ["failed", "pending"]
        assert len(await ids(store)) == 4

    async def test_by_name(self, store: Store) -> None:
        """The exact orchestration name."""
        lane = await LaneDriver.open(store)
        for name in ("Order", "order", "Orders"):
            await lane.commit(creates=[instance(f"of-{name}", name=name)])
        assert await ids(store, name="Order") == ["of-Order"]
        assert await ids(store, name="Ord%") == []

    @pytest.mark.parametrize(
        ("prefix", "expected"),
        [
            ("a", ["a", "a%b", "a_b", "ab"]),
            ("a%", ["a%b"]),
            ("a_", ["a_b"]),
            ("A", ["Ab"]),
            ("\\", ["\\a"]),
            ("ü", ["üb"]),
            ("*", []),
            ("", ["Ab", "\\a", "a", "a%b", "a_b", "ab", "üb"]),
        ],
    )
    async def test_by_prefix(self, store: Store, prefix: str, expected: list[str]) -> None:
        """Ids that begin with this very text: case counts, and no character is a wildcard."""
        lane = await LaneDriver.open(store)
        await lane.start("a", "ab", "a%b", "a_b", "Ab", "\\a", "üb")
        assert await ids(store, instance_id_prefix=prefix) == expected

    async def test_by_tags(self, store: Store) -> None:
        """Every given tag must have the given value."""
        lane = await LaneDriver.open(store)
        await lane.start("none")
        await lane.start("red", tags={"team": "red"})
        await lane.start("both", tags={"team": "red", "a.b \"c'": "ü%"})
        await lane.start("blue", tags={"team": "blue", "red": "team"})
        assert await ids(store, tags={"team": "red"}) == ["both", "red"]
        assert await ids(store, tags={"team": "red", "a.b \"c'": "ü%"}) == ["both"]
        assert await ids(store, tags={"team": "red", "red": "team"}) == []
        assert await ids(store, tags={"team": ""}) == []

    async def test_by_creation(self, store: Store) -> None:
        """``from <= created_at < to``."""
        lane = await LaneDriver.open(store)
        for n in range(4):
            await lane.start(f"i{n}", created_at=CREATED_AT + n)
        second, fourth = moment(CREATED_AT + 1), moment(CREATED_AT + 3)
        assert await ids(store, created_from=second) == ["i1", "i2", "i3"]
        assert await ids(store, created_to=fourth) == ["i0", "i1", "i2"]
        assert await ids(store, created_from=second, created_to=fourth) == ["i1", "i2"]
        assert await ids(store, created_from=second, created_to=second) == []

    async def test_by_completion(self, store: Store) -> None:
        """``from <= completed_at < to``; only finished ones match."""
        lane = await LaneDriver.open(store)
        await lane.start("running", "i0", "i1", "i2")
        for n in range(3):
            await lane.commit(turns=[finish(f"i{n}", recorded_at=CREATED_AT + n * SECOND)])
        start, end = moment(CREATED_AT + SECOND), moment(CREATED_AT + 2 * SECOND)
        assert await ids(store, completed_from=start) == ["i1", "i2"]
        assert await ids(store, completed_to=end) == ["i0", "i1"]
        assert await ids(store, completed_from=start, completed_to=end) == ["i1"]

    async def test_by_several_fields(self, store: Store) -> None:
        """Every given field narrows the answer, on every page of it."""
        lane = await LaneDriver.open(store)
        for n in range(12):
            tags = {"parity": str(n % 2)}
            await lane.start(f"i{n:02}", created_at=CREATED_AT + n, tags=tags)
        wanted: dict[str, Any] = {
            "tags": {"parity": "1"},
            "instance_id_prefix": "i",
            "created_from": moment(CREATED_AT + 2),
            "statuses": frozenset({OrchestrationStatus.PENDING}),
            "page_size": 3,
        }
        records, token = await store.query_instances(OrchestrationQuery(**wanted))
        assert [record.instance_id for record in records] == ["i03", "i05", "i07"]
        assert await ids(store, **wanted, continuation_token=token) == ["i09", "i11"]
