"""The simulation itself: it repeats itself, and it sees what is wrong."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from durabletask import task
from durabletask.testing.simulation import (
    CommitFault,
    CommitFaultKind,
    Crash,
    LeaseExpiry,
    Program,
    explore,
    shrink,
    simulate,
)
from durabletask.testing.simulation.__main__ import main
from durabletask.testing.simulation.programs import PROGRAMS, Bank, Operating, Travelling, Trees

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from durabletask.client import TaskHubClient
    from durabletask.state import OrchestrationState

FOUND = [
    (Operating, 0),
    (Operating, 9),
    (Travelling, 97),
    (Bank, 102),
    (Operating, 1094),
    (Trees, 2400),
    (Travelling, 3978),
    (Operating, 7564),
]
"""Seeds that have found something; what, the changelog tells."""


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_nothing_is_wrong(program: type[Program]) -> None:
    """A few seeds of each program; the session `simulation` runs thousands."""
    for summary in explore([program], range(25)):
        assert summary.failures == []


@pytest.mark.parametrize(("program", "seed"), FOUND)
def test_what_was_found_is_mended(program: type[Program], seed: int) -> None:
    """Seeds that once failed."""
    assert simulate(program, seed).violations == []


def trace_in_another_process(seed: int, hash_seed: str) -> bytes:
    """The trace of a seed, made by a process whose sets have another order."""
    command = [sys.executable, "-m", "durabletask.testing.simulation", "--trace", str(seed)]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    return subprocess.run(command, env=environment, capture_output=True, check=True).stdout


@pytest.mark.parametrize("seed", range(len(PROGRAMS)))
def test_a_seed_says_all(seed: int) -> None:
    """Same seed, same trace, to the byte: in this process, twice, and in others."""
    first, second = trace_in_another_process(seed, "1"), trace_in_another_process(seed, "2")
    assert first == second
    program = [*PROGRAMS.values()][seed]
    lines = first.decode().splitlines()
    for _ in range(2):
        trace = simulate(program, seed).trace
        assert trace == lines[: len(trace)]


def test_time_is_virtual() -> None:
    """A seed without faults takes seconds of its own, and no store call fails."""
    report = simulate(Bank, 1, [])
    assert report.seconds > 3
    assert report.turns and report.runs and report.calls
    assert not any("Error" in line for line in report.trace)


# --- it sees what is wrong ---------------------------------------------------------------------


@task.orchestration
def careless(ctx: task.OrchestrationContext) -> Any:
    yield ctx.call_activity("pay")
    yield ctx.call_activity("pay")


class Careless(Program):
    """Pays without a look at the idempotency key, so that it matters whether a worker dies."""

    orchestrations = (careless,)

    def __init__(self, chance: Any) -> None:
        super().__init__(chance)
        self.activities = (self.pay,)
        self.paid = 0

    async def pay(self, ctx: task.ActivityContext) -> None:
        self.paid += 1
        await asyncio.sleep(0.5)

    async def play(self, client: TaskHubClient) -> None:
        await client.schedule_new_orchestration(careless, instance_id="one")
        await client.wait_for_orchestration_completion("one")

    def check(self, states: Mapping[str, OrchestrationState]) -> Iterable[str]:
        if self.paid != 2:
            yield f"paid {self.paid} times"


def test_a_program_says_what_is_wrong() -> None:
    """An activity runs at least once: a program that relies on exactly once is found out."""
    plan = [Crash("worker-1", 0.2, 0.1)]
    reports = [simulate(Careless, seed, plan) for seed in range(8)]
    assert any("paid 3 times" in report.violations for report in reports)
    assert all(simulate(Careless, seed, []).violations == [] for seed in range(8))


def test_what_does_not_matter_is_left_out() -> None:
    """A failing plan shrinks to the faults without which it does not fail."""
    guilty = Crash("worker-1", 0.2, 0.1)
    plan = [LeaseExpiry(3.0), CommitFault(900, CommitFaultKind.LOST), guilty, LeaseExpiry(4.0)]
    seed = next(n for n in range(20) if simulate(Careless, n, plan).violations)
    assert shrink(Careless, simulate(Careless, seed, plan)).faults == [guilty]


class Stuck(Careless):
    """Waits for what never ends."""

    async def play(self, client: TaskHubClient) -> None:
        await client.wait_for_orchestration_completion("never started")


def test_an_error_of_the_client_is_told() -> None:
    """What the client raises fails the simulation."""
    [first, *_] = simulate(Stuck, 0, []).violations
    assert "never started" in first


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """It runs ranges of seeds, and tells how many failed."""
    assert main(["--seeds", "3:6", "--program", "Bank", "--jobs", "1"]) == 0
    assert capsys.readouterr().out.startswith("3 seeds of Bank: ")
    assert main(["--trace", "4"]) == 0
    assert "seed 4 of Operating" in capsys.readouterr().out
