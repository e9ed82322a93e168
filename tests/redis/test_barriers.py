"""Each barrier of the commit scripts holds something back that nothing else would.

Every scenario passes with the scripts as they are, and fails when one barrier is taken out of
them. So a test that has become blind to its barrier does not go unnoticed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from tests.servers.redis import RedisServer

from durabletask.errors import BackendUnavailableError, LaneFencedError
from durabletask.redis import line, scripts
from durabletask.redis.scripts import Script
from durabletask.testing.conformance.store.driver import LaneDriver, instance, message, turn

from .hubs import fresh_hub, keys_of, store_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from durabletask.redis import RedisStore

pytestmark = pytest.mark.asyncio

Scenario = Callable[["Scene"], Awaitable[None]]


class Scene:
    """A store on a hub, and the hub's keys, which can be put back to what they were."""

    def __init__(self, store: RedisStore, client: redis.Redis, hub: str) -> None:
        self.store = store
        self._client = client
        self._hub = hub

    def snapshot(self) -> dict[bytes, bytes]:
        """All keys as they are."""
        return {key: self._client.dump(key) for key in keys_of(self._client, self._hub)}

    def go_back(self, snapshot: dict[bytes, bytes]) -> None:
        """Lose what was written since: as after a failover to a replica that lagged."""
        self._client.delete(*keys_of(self._client, self._hub))
        for key, value in snapshot.items():
            self._client.restore(key, 0, value)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("barriers")) as server:
        yield server


# --- scenarios -----------------------------------------------------------------------------------


async def a_request_that_comes_late(scene: Scene) -> None:
    """**turn-atomic** What ``resolve`` called not applied is never applied."""
    for plain in (False, True):
        lane = await LaneDriver.open(scene.store)
        name = f"late-{plain}"
        await lane.run(name)
        batch = lane.batch(
            turns=[turn(name, 1, update=None)], messages=[] if plain else [message(name, "once")]
        )
        _, found = await scene.store.resolve(batch)
        assert found is None
        with suppress(LaneFencedError):
            await scene.store.commit(batch)
        assert len(await lane.history(name)) == 1, "the late request was applied"


async def a_turn_that_is_not_next(scene: Scene) -> None:
    """**turn-single** A turn with a wrong number is refused: no gap, no fork."""
    lane = await LaneDriver.open(scene.store)
    await lane.run("a", "b")
    for wrong in (0, 2):
        for messages in ([], [message("b", "x")]):
            with suppress(LaneFencedError):
                await lane.commit(turns=[turn("a", wrong, update=None)], messages=messages)
    assert len(await lane.history("a")) == 1


async def writes_that_were_lost(scene: Scene) -> None:
    """**turn-single** A lane learns that the server has forgotten what it acknowledged."""
    for plain in (False, True):
        lane = await LaneDriver.open(scene.store)
        name = f"lost-{plain}"
        await lane.run(name)
        before = scene.snapshot()
        await lane.commit(messages=[message(name, "acknowledged")])
        scene.go_back(before)
        with pytest.raises(LaneFencedError, match="lost writes"):
            if plain:
                await lane.commit(turns=[turn(name, 1, update=None)])
            else:
                await lane.commit(messages=[message(name, "and the next")])


async def a_loss_while_nothing_is_written(scene: Scene) -> None:
    """**turn-single** A lane that waits for what follows from a lost turn learns of the loss."""
    lane = await LaneDriver.open(scene.store)
    await lane.run("a")
    before = scene.snapshot()
    await lane.commit(turns=[turn("a", 1, update=None)])
    scene.go_back(before)
    with pytest.raises(LaneFencedError, match="lost writes"):
        await lane.poll()


async def a_claim_that_was_lost(scene: Scene) -> None:
    """**turn-single** A lane that works on what others may be given learns of the loss."""
    lane, other = await LaneDriver.open(scene.store), await LaneDriver.open(scene.store)
    await other.commit(creates=[instance("a")])
    before = scene.snapshot()
    assert await lane.claims() == ["a"]
    scene.go_back(before)
    with pytest.raises(LaneFencedError, match="lost writes"):
        await lane.poll()


async def a_message_after_a_lost_one(scene: Scene) -> None:
    """**inbox-order** Who has read a message that was lost does not consume another one for it."""
    lane, sender = await LaneDriver.open(scene.store), await LaneDriver.open(scene.store)
    await lane.run("a")
    before = scene.snapshot()
    await sender.commit(messages=[message("a", "lost")])
    [lost] = await lane.inbox("a")
    scene.go_back(before)
    other = await LaneDriver.open(scene.store)
    await other.commit(messages=[message("a", "kept")])
    with suppress(LaneFencedError):
        await lane.commit(turns=[turn("a", 1, consumed=[lost.message_id])])
    assert await lane.bodies("a") == ["kept"], "the wrong one was consumed"


async def a_batch_that_is_half_good(scene: Scene) -> None:
    """**turn-atomic** Of a batch that is refused nothing is written."""
    lane = await LaneDriver.open(scene.store)
    await lane.run("a", "b")
    with suppress(LaneFencedError, BackendUnavailableError):
        await lane.commit(turns=[turn("a", 1), turn("b", 7)])
    assert [len(await lane.history(name)) for name in "ab"] == [1, 1], "it is half written"


async def a_stolen_message(scene: Scene) -> None:
    """**inbox-order** A message that is gone cannot be consumed again."""
    lane = await LaneDriver.open(scene.store)
    await lane.run("a")
    await lane.commit(messages=[message("a", "once")])
    [entry] = await lane.inbox("a")
    await lane.commit(turns=[turn("a", 1, consumed=[entry.message_id])])
    with suppress(LaneFencedError):
        await lane.commit(turns=[turn("a", 2, consumed=[entry.message_id])])
    assert len(await lane.history("a")) == 2, "a message was consumed twice"


# --- barriers ------------------------------------------------------------------------------------

CHECK_EPOCH = "if standing[1] ~= epoch then return {'lane', standing[1] or ''} end"
CHECK_BATCHES = "if standing[2] ~= acknowledged then return {'gap', standing[2]} end"
CHECK_ACKNOWLEDGED = "if tonumber(standing[3]) < acknowledged then"
CHECK_POLLS = "if last < seen then return {'gap', 'poll', seen, last} end"
COUNT = "(counter or tonumber(call('GET', prefix .. 'numbers') or 0)) + 1"
CHECK_TURNS = "if tip.turns ~= sequence then return {'clash', id, sequence, tip.turns} end"
CHECK_MESSAGES = "if not instant or used[message] then"
APPEND_LANE = "if standing[1] ~= ARGV[2] or standing[2] ~= ARGV[3] then return 0 end"
APPEND_TURNS = "if call('LLEN', history) ~= tonumber(ARGV[9]) then return 0 end"
WRITE_TURN = "call('RPUSH', history_key(id), turn[4])"

Mutation = tuple[tuple[str, str, str], ...]

MUTATIONS: dict[str, tuple[Scenario, Mutation]] = {
    "no epoch": (
        a_request_that_comes_late,
        (
            ("commit", CHECK_EPOCH, ""),
            ("append", APPEND_LANE, "if standing[2] ~= ARGV[3] then return 0 end"),
        ),
    ),
    "no epoch in append": (
        a_request_that_comes_late,
        (("append", APPEND_LANE, "if standing[2] ~= ARGV[3] then return 0 end"),),
    ),
    "no count of turns": (a_turn_that_is_not_next, (("commit", CHECK_TURNS, ""),)),
    "no count of turns in append": (a_turn_that_is_not_next, (("append", APPEND_TURNS, ""),)),
    "no count of batches": (writes_that_were_lost, (("commit", CHECK_BATCHES, ""),)),
    "no count of batches in append": (
        writes_that_were_lost,
        (("append", APPEND_LANE, "if standing[1] ~= ARGV[2] then return 0 end"),),
    ),
    "no count of batches in poll": (
        a_loss_while_nothing_is_written,
        (("poll", CHECK_ACKNOWLEDGED, "if false then"),),
    ),
    "no count of polls": (a_claim_that_was_lost, (("poll", CHECK_POLLS, ""),)),
    "no clock in numbers": (
        a_message_after_a_lost_one,
        (("commit", f"math.max({COUNT}, now)", COUNT),),
    ),
    "one pass": (
        a_batch_that_is_half_good,
        (
            ("commit", CHECK_TURNS, ""),
            (
                "commit",
                WRITE_TURN,
                "if call('LLEN', history_key(id)) ~= turn[3] then error('clash') end " + WRITE_TURN,
            ),
        ),
    ),
    "no look at messages": (a_stolen_message, (("commit", CHECK_MESSAGES, "if false then"),)),
}


def mutated(monkeypatch: pytest.MonkeyPatch, mutation: Mutation) -> None:
    """Take something out of the scripts, under digests of their own."""
    texts: dict[str, str] = {}
    for name, old, new in mutation:
        text = texts.get(name) or scripts.source(name).decode()
        assert text.count(old) == 1, f"{name}.lua has changed: {old!r}"
        texts[name] = text.replace(old, new)

    def script(name: str) -> Script:
        if name not in texts:
            return scripts.script(name)
        return Script.of(texts[name].encode())

    monkeypatch.setattr(line, "script", script)


async def play(server: RedisServer, scenario: Scenario) -> None:
    """Play a scenario on a fresh hub."""
    hub = fresh_hub()
    store = store_on(server.url, hub)
    await store.open()
    try:
        with server.client() as client:
            await scenario(Scene(store, client, hub))
    finally:
        await store.close()


@pytest.mark.parametrize("scenario", dict.fromkeys(scenario for scenario, _ in MUTATIONS.values()))
async def test_the_scripts_hold(server: RedisServer, scenario: Scenario) -> None:
    """As they are, they do what the scenario asks for."""
    await play(server, scenario)


@pytest.mark.parametrize("name", MUTATIONS)
async def test_without_a_barrier_it_shows(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Without the barrier the scenario fails."""
    scenario, mutation = MUTATIONS[name]
    mutated(monkeypatch, mutation)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await play(server, scenario)
