"""Inboxes: ordered, complete, and read until consumed."""

from __future__ import annotations

import asyncio

import pytest

from durabletask.store import Message, Store
from durabletask.testing.conformance.store.driver import (
    LaneDriver,
    execution,
    finish,
    instance,
    message,
    turn,
)
from durabletask.testing.conformance.store.fixtures import Advance, StoreFixtures

__all__ = ["InboxSuite"]


@pytest.mark.asyncio
class InboxSuite(StoreFixtures):
    """**inbox-order** Per instance the inbox is totally ordered."""

    async def test_messages_of_a_batch_keep_their_order(
        self, store: Store, other_store: Store
    ) -> None:
        """Messages to one instance are ordered; ids grow in delivery order."""
        lane, sender = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.run("a", "b")
        for start in (0, 20):
            await sender.commit(
                messages=[
                    message("a" if n % 2 == 0 else "b", str(n)) for n in range(start, start + 20)
                ]
            )
        for name, parity in (("a", 0), ("b", 1)):
            inbox = await lane.inbox(name)
            assert [int(entry.body) for entry in inbox] == list(range(parity, 40, 2))
            ids = [entry.message_id for entry in inbox]
            assert ids == sorted(set(ids)), "message ids must grow in delivery order"

    async def test_a_message_is_given_until_it_is_consumed(self, store: Store) -> None:
        """A message is given again by every poll until a turn consumed it."""
        lane = await LaneDriver.open(store)
        await lane.run("a")
        await lane.commit(messages=[message("a", "1"), message("a", "2"), message("a", "3")])
        first = await lane.inbox("a")
        assert await lane.inbox("a") == first, "the same messages under the same ids"
        await lane.commit(turns=[turn("a", 1, consumed=[first[1].message_id])])
        assert await lane.inbox("a") == [first[0], first[2]]
        await lane.commit(turns=[turn("a", 2, consumed=[first[2].message_id, first[0].message_id])])
        work = await lane.poll()
        assert "a" not in work.inbox, "an instance without messages is not in the inbox"

    async def test_bodies_are_opaque(self, store: Store) -> None:
        """Message bodies are bytes that the store does not look at."""
        lane = await LaneDriver.open(store)
        await lane.run("a")
        bodies = [b"", b"\x00", bytes(range(256)), "ünï".encode()]
        for body in bodies:
            await lane.commit(messages=[Message("a", body)])
        assert [entry.body for entry in await lane.inbox("a")] == bodies

    async def test_messages_between_two_polls_are_never_skipped(
        self, store: Store, other_store: Store
    ) -> None:
        """Every message is read, whatever lane sent it when, in its sender's order."""
        lane = await LaneDriver.open(store)
        senders = [await LaneDriver.open(home) for home in (store, other_store, other_store)]
        await lane.run("a")

        async def send(n: int) -> None:
            for i in range(10):
                await senders[n].commit(messages=[message("a", f"{n}:{i}")])
                await asyncio.sleep(0)

        seen: list[str] = []
        sending = asyncio.gather(*(send(n) for n in range(3)))
        while not sending.done() or len(seen) < 30:
            fresh = await lane.inbox("a")
            if not fresh and sending.done():
                break
            if fresh:
                sequence = len(await lane.history("a"))
                consumed = [entry.message_id for entry in fresh]
                await lane.commit(turns=[turn("a", sequence, consumed=consumed)])
                seen += [entry.body.decode() for entry in fresh]
            await asyncio.sleep(0)
        await sending
        for n in range(3):
            mine = [body for body in seen if body.startswith(f"{n}:")]
            assert mine == [f"{n}:{i}" for i in range(10)], "lost, doubled or out of order"

    async def test_messages_to_nobody_are_reported(self, store: Store) -> None:
        """``missing`` holds the positions of messages whose receiver does not exist."""
        lane = await LaneDriver.open(store)
        await lane.start("a", "finished")
        await lane.commit(turns=[finish("finished")])
        result = await lane.commit(
            messages=[
                message("unknown", "0"),
                message("a", "1"),
                message("finished", "2"),
                message("a", "3", execution_id="a/9"),
                message("created-too-late", "4", execution_id="x"),
            ]
        )
        assert result.missing == {0, 4}, "finished instances and old executions exist"
        assert await lane.bodies("a") == ["1"]
        await lane.commit(creates=[instance("unknown", owned=True)])
        assert await lane.bodies("unknown") == [], "a dropped message must not come back"

    async def test_an_instance_created_in_the_batch_receives(self, store: Store) -> None:
        """Creates come before messages."""
        lane = await LaneDriver.open(store)
        result = await lane.commit(creates=[instance("a")], messages=[message("a", "hello")])
        assert result.missing == frozenset()
        assert [entry.body for entry in (await lane.claim("a")).messages] == [b"hello"]

    async def test_bound_messages_reach_only_their_execution(self, store: Store) -> None:
        """``execution_id``: deliver only while this execution is the current one."""
        lane = await LaneDriver.open(store)
        await lane.run("a")
        await lane.commit(
            messages=[
                message("a", "old", execution_id="a/0"),
                message("a", "bound", execution_id=execution("a")),
                message("a", "free"),
            ]
        )
        assert await lane.bodies("a") == ["bound", "free"]

    async def test_a_message_is_invisible_until_its_instant(
        self, store: Store, advance: Advance
    ) -> None:
        """``visible_at``: not before this instant, by the store's clock."""
        lane = await LaneDriver.open(store)
        await lane.run("a")
        visible_at = lane.standing.now + 300_000
        await lane.commit(messages=[message("a", "later", visible_at=visible_at)])
        await lane.commit(messages=[message("a", "past", visible_at=1), message("a", "now")])
        while True:
            work = await lane.poll()
            bodies = [entry.body for entry in work.inbox["a"]]
            ids = [entry.message_id for entry in work.inbox["a"]]
            assert ids == sorted(ids)
            if work.now >= visible_at:
                break
            assert bodies == [b"past", b"now"], "a message was visible too early"
            assert work.next_due == visible_at, "next_due tells when it becomes visible"
            await lane.wait_until(work.now + 100_000, advance)
        assert sorted(bodies) == [b"later", b"now", b"past"]
        assert work.next_due is None, "nothing of this lane becomes due any more"

    async def test_the_inbox_waits_for_an_owner(self, store: Store, other_store: Store) -> None:
        """A message to an idle instance that nobody owns makes it due; it is handed out with it."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.run("a")
        await lane.release("a")
        assert await rival.claims() == [], "an idle instance is not due"
        await lane.commit(messages=[message("a", "1"), message("a", "2")])
        claimed = await rival.claim("a")
        assert [entry.body for entry in claimed.messages] == [b"1", b"2"]
        assert await rival.inbox("a") == claimed.messages, "given again until consumed"
        await rival.commit(
            turns=[turn("a", 1, consumed=[entry.message_id for entry in claimed.messages])]
        )
        assert await rival.inbox("a") == []

    async def test_only_the_owner_reads_the_inbox(self, store: Store, other_store: Store) -> None:
        """``poll`` reads the inboxes of the instances that the lane owns."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.run("a")
        await rival.commit(messages=[message("a", "for the owner")])
        work = await rival.poll()
        assert (work.inbox, work.instances) == ({}, [])
        assert await lane.bodies("a") == ["for the owner"]
