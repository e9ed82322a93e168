"""Turns that are alone in their batch, for which stores have short ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from durabletask.errors import LaneFencedError
from durabletask.store import InstanceUpdate, Turn
from durabletask.testing.conformance.store.driver import (
    LaneDriver,
    execution,
    finish,
    instance,
    message,
    turn,
)
from durabletask.testing.conformance.store.fixtures import StoreFixtures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durabletask.store import LaneKey, Store

__all__ = ["LoneTurnSuite"]

CHANGES = {
    "append": turn("?", 1, update=None),
    "update": turn("?", 1, update=InstanceUpdate(busy=True, custom_status='"half"')),
    "no busy": turn("?", 1, update=InstanceUpdate(custom_status=None)),
    "completed": finish("?", 1),
    "failed": turn("?", 1, update=InstanceUpdate(status="FAILED", failure=b"why")),
    "terminated": turn("?", 1, update=InstanceUpdate(status="TERMINATED", custom_status='"x"')),
}

BIRTHS = {
    "usual": turn("?", 0, update=InstanceUpdate(status="RUNNING")),
    "no update": turn("?", 0, update=None),
    "waiting": turn("?", 0, update=InstanceUpdate(status="RUNNING", busy=False)),
    "custom status": turn("?", 0, update=InstanceUpdate(custom_status='"new"')),
    "finished": finish("?"),
}

COMPANY = [message("nobody", "lost")]
"""What makes a batch a general one, and writes nothing."""


@pytest.mark.asyncio
class LoneTurnSuite(StoreFixtures):
    """**turn-atomic** A turn alone in its batch writes what it writes in the company of others."""

    @pytest.mark.parametrize("kind", CHANGES)
    async def test_alone_or_not_a_turn_writes_the_same(self, store: Store, kind: str) -> None:
        """The short way ends where the general one does."""
        lane = await LaneDriver.open(store)
        await lane.run("alone", "among", chunk=b"chunk")
        await lane.commit(messages=[message("alone", "m"), message("among", "m")])
        await lane.commit(turns=[_of("alone", CHANGES[kind])])
        await lane.commit(turns=[_of("among", CHANGES[kind])], messages=COMPANY)
        await _expect_the_same(lane)
        assert await lane.bodies("alone") == await lane.bodies("among")
        await lane.release("alone", "among")
        assert sorted(await lane.claims()) in ([], ["alone", "among"])

    @pytest.mark.parametrize("kind", BIRTHS)
    async def test_alone_or_not_an_instance_is_born_the_same(self, store: Store, kind: str) -> None:
        """An instance and its first turn, in a batch of their own or not."""
        lane = await LaneDriver.open(store)
        fields = {"owned": True, "version": "1.2", "input": "[1]", "tags": {"a": "b"}}
        for name, company in (("alone", []), ("among", COMPANY)):
            await lane.commit(
                creates=[instance(name, **fields)],
                turns=[_of(name, BIRTHS[kind])],
                messages=company,
            )
        await _expect_the_same(lane)
        await lane.release("alone", "among")
        assert sorted(await lane.claims()) in ([], ["alone", "among"])

    @pytest.mark.parametrize("kind", CHANGES)
    async def test_it_is_fenced(self, store: Store, kind: str) -> None:
        """Under an old epoch, of another execution, or a second time: nothing is written."""
        lane = await LaneDriver.open(store)
        await lane.run("a")
        before = await lane.record("a")
        change = _of("a", CHANGES[kind])
        old = lane.key
        lane.key, _ = await store.resolve(lane.batch(turns=[change]))
        await _refused(lane, change, key=old)
        await _refused(lane, msgspec.structs.replace(change, execution_id="another"))
        await _refused(lane, msgspec.structs.replace(change, sequence=0))
        assert await lane.record("a") == before
        assert len(await lane.history("a")) == 1

    async def test_a_birth_is_fenced(self, store: Store) -> None:
        """Under an old epoch, or of an id that is taken: nothing is written."""
        lane = await LaneDriver.open(store)
        await lane.run("taken")
        before = await lane.record("taken")
        await _refused(lane, turn("taken", 0), creates=["taken"])
        assert await lane.record("taken") == before
        old = lane.key
        lane.key, _ = await store.resolve(lane.batch(turns=[turn("new", 0)]))
        await _refused(lane, turn("new", 0), key=old, creates=["new"])
        assert not await lane.exists("new")

    async def test_it_is_found_again(self, store: Store) -> None:
        """``resolve`` knows a lone turn by its history, whatever else it wrote."""
        lane = await LaneDriver.open(store)
        first = {"creates": [instance("a", owned=True)], "turns": [turn("a", 0)]}
        last = {"turns": [finish("a", 1)]}
        for fields in (first, last):
            batch = lane.batch(**fields)
            lane.key, applied = await store.resolve(batch)
            assert applied is None
            batch = lane.batch(**fields)
            await lane.commit(**fields)
            lane.key, applied = await store.resolve(batch)
            assert applied is not None
        assert (await lane.record("a")).status == "COMPLETED"


async def _refused(
    lane: LaneDriver, change: Turn, *, key: LaneKey | None = None, creates: Sequence[str] = ()
) -> None:
    """Neither now nor otherwise is the turn committed."""
    batch = lane.batch(creates=[instance(name, owned=True) for name in creates], turns=[change])
    batch = msgspec.structs.replace(batch, lane=key or lane.key)
    assert lane.store.commit_now(batch) is None
    with pytest.raises(LaneFencedError):
        await lane.store.commit(batch)


async def _expect_the_same(lane: LaneDriver) -> None:
    """Both instances look alike, but for their names."""
    alone, among = [await lane.record(name) for name in ("alone", "among")]
    renamed = msgspec.structs.replace(
        among, instance_id=alone.instance_id, execution_id=alone.execution_id
    )
    assert alone == renamed
    assert await lane.history("alone") == await lane.history("among")


def _of(instance_id: str, shape: Turn) -> Turn:
    """The turn of some instance that looks like this."""
    return msgspec.structs.replace(
        shape, instance_id=instance_id, execution_id=execution(instance_id), chunk=b"chunk"
    )
