"""Every engine test that runs an orchestrator runs it on both ways of continuing it."""

from collections.abc import Callable
from functools import partial

import pytest

from .driver import Run


@pytest.fixture(params=[False, True], ids=["sticky", "replayed"])
def run(request: pytest.FixtureRequest) -> Callable[..., Run]:
    """Makes a Run that keeps its session, or one that replays before every turn."""
    return partial(Run, replayed=request.param)
