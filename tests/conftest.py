"""Settings of Hypothesis for every test, the root of the repository on the path, and a guard.

`gate` is the default: the same examples each time, and no deadline, because the wall clock of a
busy machine says nothing about the code. `--hypothesis-profile=explore` looks further, at other
examples each time; `thorough` takes five times as many as the gate, for what has to be found.
"""

import logging
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = str(Path(__file__).parents[1])

if ROOT not in sys.path:
    sys.path.append(ROOT)  # servers and helpers are modules of tests, found from there

MISSING = [
    name
    for name in ("azuremanaged", "grpc", "postgres", "redis")
    if find_spec(f"durabletask.{name}") is None
]
"""Distributions that this environment is without, as those that test a wheel alone are."""

collect_ignore_glob = [
    pattern for name in MISSING for pattern in (name, f"*/{name}", f"*/test_{name}*.py")
]

settings.register_profile("gate", deadline=None, derandomize=True)
settings.register_profile("thorough", deadline=None, derandomize=True, max_examples=500)
settings.register_profile("explore", deadline=None, max_examples=2_000)
settings.load_profile("gate")


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """A test that keeps the log quiet beyond its end makes others fail, so it fails itself."""
    logger = logging.getLogger("durabletask")
    before = (logger.level, logger.propagate, logger.disabled)
    yield
    assert (logger.level, logger.propagate, logger.disabled) == before
