"""What an answer of the server means: trouble that passes, or something that it will never take."""

import asyncpg
import pytest

from durabletask.errors import BackendError, BackendUnavailableError, LaneFencedError
from durabletask.postgres.faults import CollisionError, refused

PASSING = {
    "08006": "the connection broke",
    "25006": "target_session_attrs=read-write",
    "28P01": "check the user, the password",
    "3D000": "create the database",
    "3F000": "durabletask migrate",
    "42501": "grant_access",
    "42883": "durabletask migrate",
    "42P01": "durabletask migrate",
    "53100": "disk of the server is full; free some space",
    "53200": "out of memory",
    "53300": "raise max_connections, or use a pooler",
    "55P03": "tried again",
    "57014": "statement_timeout",
    "57P01": "starting, stopping",
    "57P03": "starting, stopping",
    "57P04": "was dropped",
    "58030": "cannot read or write its files",
    "F0000": "into the server's log",
    "XX000": "whether its disk is full",
    "XX001": "whether its disk is full",
}

NEVER = ["21000", "22021", "23505", "42804", "54000"]


def answer(code: str) -> BaseException:
    """What the driver raises for it."""
    return asyncpg.PostgresError.new({"C": code, "M": "its own words", "D": "a secret value"})


@pytest.mark.parametrize(("code", "remedy"), PASSING.items())
def test_trouble_of_the_server(code: str, remedy: str) -> None:
    """**failure-infra** It is unavailable, which everybody tries again, and what to do is said."""
    error = refused(answer(code), "the place")
    assert type(error) is BackendUnavailableError
    assert remedy in str(error)
    assert "its own words" in str(error) and "the place" in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_two_transactions_that_met(code: str) -> None:
    """**failure-infra** It is unavailable too, and a repetition need not wait."""
    error = refused(answer(code), "the place")
    assert type(error) is CollisionError
    assert isinstance(error, BackendUnavailableError)
    assert "tried again" in str(error)


@pytest.mark.parametrize("code", NEVER)
def test_values_that_it_cannot_take(code: str) -> None:
    """There is no point in sending them again."""
    assert type(refused(answer(code), "the place")) is BackendError


def test_a_lane_that_is_not_ours_any_more() -> None:
    """The schema has a code of its own for it."""
    assert type(refused(answer("DT001"), "the place")) is LaneFencedError
