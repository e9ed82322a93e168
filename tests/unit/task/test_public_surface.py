"""What ``from durabletask import task`` brings with it."""

import subprocess
import sys

import pytest

from durabletask import errors, task

HEAVY = ("asyncio", "sqlite3", "logging", "ssl", "concurrent.futures", "durabletask.engine")


def test_every_name_is_there():
    """The names of __all__ exist, once each, sorted."""
    assert sorted(set(task.__all__)) == list(task.__all__)
    assert all(hasattr(task, name) for name in task.__all__)


def test_errors_are_the_same_objects():
    """What an orchestrator catches is also on task."""
    for name in ("TaskFailedError", "TaskCancelledError", "NonDeterminismError"):
        assert getattr(task, name) is getattr(errors, name)


def test_importing_it_is_light():
    """Authors' modules are imported everywhere: nothing heavy comes along."""
    code = (
        f"import sys; from durabletask import task; print([m for m in {HEAVY} if m in sys.modules])"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "[]"


def test_contexts_are_abstract():
    """The contexts of the public surface are documented, not instantiable."""
    with pytest.raises(TypeError, match="abstract"):
        task.OrchestrationContext()
    with pytest.raises(TypeError, match="abstract"):
        task.ActivityContext()
    for context in (task.OrchestrationContext, task.ActivityContext):
        for name in context.__abstractmethods__:
            assert getattr(context, name).__doc__, name


def test_tasks_are_equal_by_identity():
    """Tasks can be keys, and are equal only to themselves."""
    one, other = task.CompletableTask(), task.CompletableTask()
    assert one == one
    assert one != other
    assert len({one, other, one}) == 2
    assert not (one.is_complete or one.is_failed or one.is_cancelled)
