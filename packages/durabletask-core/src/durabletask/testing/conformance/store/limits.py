"""Sizes: what must fit."""

from __future__ import annotations

import pytest

from durabletask.history import EventRaised, decode_history, encode_chunk
from durabletask.store import InstanceUpdate, Message, Store
from durabletask.testing.conformance.store.driver import (
    ORDER,
    LaneDriver,
    activity,
    execution,
    finish,
    instance,
    message,
    turn,
)
from durabletask.testing.conformance.store.fixtures import StoreFixtures

__all__ = ["LimitSuite"]

ODD_IDS = (
    "x" * 100,
    "\U0001f600" * 100,
    "ordre n° 7 — été",
    "e\u0301",
    "é",
    "E",
    "e",
    "e ",
    "' OR 1=1; --",
    '{"a": 1}',
    "a/b:c|d\\e%f_g*h?i",
    "\u202eright to left\u202c עברית",
)
"""Ids of up to 100 characters that differ, if only in case, blanks or normal form."""


@pytest.mark.asyncio
class LimitSuite(StoreFixtures):
    """**size** Long histories, large payloads, odd ids, big batches."""

    async def test_a_history_of_100_000_events(self, store: Store) -> None:
        """**size** A history of 100,000 events is kept and given back whole."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        events = [EventRaised(name="tick", input=str(n)) for n in range(100)]
        chunk = encode_chunk(events)
        for start in range(0, 1_000, 250):
            await lane.commit(turns=[turn("a", n, chunk=chunk) for n in range(start, start + 250)])
        history = decode_history(await lane.history("a"))
        assert len(history) == 100_000
        assert history[-100:] == events
        await lane.release("a", busy=True)
        assert (await lane.claim("a")).sequence == 1_000

    async def test_payloads_of_16_mib(self, store: Store) -> None:
        """**size** The largest payload that the store declares passes everywhere."""
        size = store.capabilities.max_payload_bytes
        text = '"' + "é" * ((size - 2) // 2) + '"'
        body = text.encode()
        lane = await LaneDriver.open(store)
        await lane.start("a", input=text)
        update = InstanceUpdate(status="COMPLETED", output=text, custom_status=text)
        await lane.commit(messages=[Message("a", body)], activities=[activity("a", body=body)])
        [entry] = await lane.inbox("a")
        assert entry.body == body, "the message was cut or changed"
        [claimed] = await lane.take_activities()
        assert claimed.body == body, "the activity was cut or changed"
        await lane.commit(
            turns=[turn("a", 0, chunk=body, update=update, consumed=[entry.message_id])]
        )
        assert await lane.history("a") == [body]
        record = await lane.record("a")
        assert record.input == text
        assert record.output == text
        assert record.custom_status == text

    async def test_ids_of_any_unicode(self, store: Store) -> None:
        """**size** An instance id of 100 characters of any Unicode is fine, and none is another."""
        lane = await LaneDriver.open(store)
        for name in ODD_IDS:
            result = await lane.commit(creates=[instance(name, owned=True, input=name)])
            assert not result.refused, f"{name!r} was taken for another id"
        await lane.commit(
            turns=[turn(name, 0) for name in ODD_IDS],
            messages=[message(name, name) for name in ODD_IDS],
        )
        found = await store.get_instances(ODD_IDS, payloads=True)
        assert {name: record.input for name, record in found.items()} == {n: n for n in ODD_IDS}
        for name in ODD_IDS:
            assert await lane.bodies(name) == [name]
        await lane.commit(turns=[finish(name, 1) for name in ODD_IDS])
        histories = await store.read_history([(name, execution(name)) for name in ODD_IDS])
        assert [len(chunks) for chunks in histories] == [2] * len(ODD_IDS)
        assert await store.purge_instances(ODD_IDS, recursive=False) == len(ODD_IDS)

    async def test_names_of_any_unicode(self, store: Store) -> None:
        """Orchestration and activity names are texts like ids."""
        names = ["Bestellung für", "\U0001f4e6", "order'"]
        lane = await LaneDriver.open(
            store, orchestrations=dict.fromkeys(names, "v1"), activities=frozenset(names)
        )
        assert lane.standing.orchestrations == set(names)
        await lane.commit(
            creates=[instance(f"i{n}", name=name) for n, name in enumerate(names)],
            activities=[activity("i0", n, name=name) for n, name in enumerate(names)],
        )
        work = await lane.poll()
        assert sorted(claimed.name for claimed in work.instances) == sorted(names)
        assert sorted(claimed.name for claimed in work.activities) == sorted(names)

    async def test_big_batches(self, store: Store, other_store: Store) -> None:
        """**fan-in** A batch may hold thousands of each kind, and one turn consume thousands."""
        size = 2_000
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        names = [f"i{n:04}" for n in range(size)]
        await lane.start("a", *names)
        await lane.commit(
            turns=[turn(name, 0) for name in names],
            messages=[message("a", str(n)) for n in range(size)],
            activities=[activity("a", n) for n in range(size)],
            released=[(name, True) for name in names],
        )
        work = await rival.poll(orchestrations=frozenset({ORDER}), max_instances=size)
        assert len(work.instances) == size
        inbox = await lane.inbox("a")
        assert [int(entry.body) for entry in inbox] == list(range(size))
        await lane.commit(turns=[turn("a", 0, consumed=[entry.message_id for entry in inbox])])
        assert await lane.inbox("a") == []
        await lane.release("a", busy=True)
        assert (await lane.claim("a")).queued == set(range(size))
