"""Waiting awake for answers that come soon."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from durabletask.store import Vigil, vigil

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 0.001
SHORT = LONGEST / 4
LONG = 4 * LONGEST
PASS = LONGEST / 100
"""Seconds that a pass of the loop takes, by a clock that stands still otherwise."""


class Timed(asyncio.SelectorEventLoop):
    """An event loop with a clock of its own, which counts how often it goes to sleep.

    A pass takes ``PASS`` seconds; asleep, it wakes when the answer that is under way is there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.passes = self.sleeps = 0
        self._answer: asyncio.Future[None] | None = None
        self._due = 0.0
        self._really = self._selector.select  # type: ignore[attr-defined]
        self._selector.select = self._select  # type: ignore[attr-defined]

    def answer_in(self, seconds: float) -> asyncio.Future[None]:
        """What will be answered then."""
        self._answer, self._due = self.create_future(), self.now + seconds
        return self._answer

    def _select(self, timeout: float | None = None) -> Any:
        self.passes += 1
        self.now += PASS
        answer = self._answer
        if answer is not None and (timeout is None or timeout > 0):
            self.sleeps += 1
            self.now = max(self.now, self._due)
        if answer is not None and self.now >= self._due:
            self._answer = None
            answer.set_result(None)
        return self._really(0 if answer is not None else timeout)


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Iterator[asyncio.Runner]:
    """Runs what a test defines on such a loop, by whose clock the vigil goes."""
    with asyncio.Runner(loop_factory=Timed) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, Timed)
        monkeypatch.setattr(vigil, "time", SimpleNamespace(perf_counter=lambda: loop.now))
        yield runner


async def call(kept: Vigil, seconds: float, times: int = 1) -> int:
    """Calls one after another; how often the loop went to sleep in the last of them."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Timed)
    before = 0
    for _ in range(times):
        before = loop.sleeps
        with kept:
            await loop.answer_in(seconds)
    return loop.sleeps - before


def test_the_loop_stays_awake_for_what_is_usually_short(runner: asyncio.Runner) -> None:
    """It sleeps until the calls have proved short, and not any more then."""

    async def main() -> None:
        kept = Vigil(LONGEST)
        assert await call(kept, SHORT) == 1
        assert await call(kept, SHORT, 30) == 0

    runner.run(main())


def test_it_sleeps_when_one_call_takes_long(runner: asyncio.Runner) -> None:
    """A server that is busy for once costs no more than the longest vigil; the next is kept."""

    async def main() -> None:
        kept = Vigil(LONGEST)
        await call(kept, SHORT, 30)
        assert await call(kept, LONG) == 1
        assert await call(kept, SHORT) == 0

    runner.run(main())


def test_it_sleeps_when_calls_have_become_long(runner: asyncio.Runner) -> None:
    """A server that is far away is not waited for awake at all."""

    async def main() -> None:
        kept = Vigil(LONGEST)
        await call(kept, SHORT, 30)
        await call(kept, LONG, 30)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Timed)
        passes = loop.passes
        assert await call(kept, LONG) == 1
        assert loop.passes - passes <= 2

    runner.run(main())


def test_no_vigil_at_all(runner: asyncio.Runner) -> None:
    """Of no length: however short the calls, the loop sleeps."""
    assert runner.run(call(Vigil(0), SHORT, 30)) == 1


def test_nothing_goes_round_afterwards(runner: asyncio.Runner) -> None:
    """An idle loop sleeps."""

    async def main() -> None:
        await call(Vigil(LONGEST), SHORT, 30)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Timed)
        passes = loop.passes
        await asyncio.sleep(0.02)
        assert loop.passes - passes < 5

    runner.run(main())


def test_calls_with_no_pass_between_them_share_one_round(
    runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many begin while the round of the first still goes on, the loop runs one."""
    rounds = 0

    def give_way() -> None:
        nonlocal rounds
        rounds += 1

    monkeypatch.setattr(vigil, "give_way", give_way)

    async def main() -> None:
        nonlocal rounds
        kept = Vigil(LONGEST)
        await call(kept, SHORT, 30)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Timed)
        for _ in range(20):
            with kept:
                pass
        rounds, passes = 0, loop.passes
        await call(kept, SHORT)
        assert 0 < rounds <= loop.passes - passes

    runner.run(main())
