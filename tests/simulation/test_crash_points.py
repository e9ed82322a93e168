"""Every commit of a scenario goes wrong in every way."""

from __future__ import annotations

import pytest

from durabletask.testing.simulation import CommitFault, CommitFaultKind, Program, simulate
from durabletask.testing.simulation.programs import (
    Counting,
    Operating,
    Tallying,
    Travelling,
    Vault,
)

SCENARIOS = [(Travelling, 1), (Counting, 2), (Operating, 3), (Tallying, 4), (Vault, 5)]


def commits_of(program: type[Program], seed: int) -> int:
    """How many commits a scenario takes when nothing goes wrong."""
    return sum(" commit " in line for line in simulate(program, seed, []).trace)


@pytest.mark.parametrize("kind", CommitFaultKind, ids=lambda kind: kind.name.lower())
@pytest.mark.parametrize(("program", "seed"), SCENARIOS)
def test_each_commit_fails(program: type[Program], seed: int, kind: CommitFaultKind) -> None:
    """Lost, late, applied, refused, or the worker dies before, in or after it."""
    for number in range(1, commits_of(program, seed) + 1):
        report = simulate(program, seed, [CommitFault(number, kind)])
        assert report.violations == [], number


@pytest.mark.parametrize("second", CommitFaultKind, ids=lambda kind: kind.name.lower())
def test_two_commits_in_a_row_fail(second: CommitFaultKind) -> None:
    """The one that repairs what the first has broken goes wrong as well."""
    program, seed = SCENARIOS[0]
    for number in range(1, commits_of(program, seed) + 1):
        for first in (CommitFaultKind.LATE, CommitFaultKind.APPLIED, CommitFaultKind.CRASH_IN):
            plan = [CommitFault(number, first), CommitFault(number + 1, second)]
            assert simulate(program, seed, plan).violations == [], (number, first)
