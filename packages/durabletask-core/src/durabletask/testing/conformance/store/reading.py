"""Reading instances by id."""

from __future__ import annotations

import pytest

from durabletask.store import InstanceUpdate, Store
from durabletask.testing.conformance.store.driver import LaneDriver, turn
from durabletask.testing.conformance.store.fixtures import StoreFixtures

__all__ = ["ReadSuite"]


@pytest.mark.asyncio
class ReadSuite(StoreFixtures):
    """``get_instances``: the rows of those that exist."""

    async def test_those_that_exist_are_given(self, store: Store) -> None:
        """Unknown ids are left out; asking twice or for nothing is no error."""
        lane = await LaneDriver.open(store)
        await lane.start("a", "b")
        found = await store.get_instances(["b", "x", "a", "b"], payloads=True)
        assert set(found) == {"a", "b"}
        assert all(record.instance_id == name for name, record in found.items())
        assert await store.get_instances([], payloads=True) == {}

    async def test_payloads_are_given_on_request(self, store: Store) -> None:
        """``payloads=False`` leaves input, output and custom status None, and only them."""
        lane = await LaneDriver.open(store)
        await lane.start("a", input='"in"', tags={"k": "v"})
        update = InstanceUpdate(status="FAILED", output="1", custom_status="2", failure=b"f")
        await lane.commit(turns=[turn("a", 0, update=update)])
        full = await lane.record("a")
        assert (full.input, full.output, full.custom_status) == ('"in"', "1", "2")
        bare = (await store.get_instances(["a"], payloads=False))["a"]
        assert (bare.input, bare.output, bare.custom_status) == (None, None, None)
        assert (bare.failure, bare.tags, bare.status) == (b"f", {"k": "v"}, "FAILED")

    async def test_payloads_are_kept_as_they_came(self, store: Store) -> None:
        """**falsy** Empty and absent payloads are told apart; no character is lost."""
        lane = await LaneDriver.open(store)
        texts = [None, "", '""', "null", "0", '"ünï \U0001f600 \\u0000 \\ud83d"']
        for n, text in enumerate(texts):
            await lane.start(f"i{n}", input=text)
            assert (await lane.record(f"i{n}")).input == text
