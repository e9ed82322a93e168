"""Settings of Hypothesis for every test, and the root of the repository on the path.

`gate` is the default: the same examples each time, and no deadline, because the wall clock of a
busy machine says nothing about the code. `--hypothesis-profile=explore` looks further, at other
examples each time; `thorough` takes five times as many as the gate, for what has to be found.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

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
