"""What a worker does with versions, whatever its source knows of them."""

from __future__ import annotations

from typing import Any

import pytest

from durabletask import task
from durabletask.actions import ApplyPatch, CompleteOrchestration, CreateSubOrchestration
from durabletask.backend import Capabilities, OrchestrationResult, OrchestrationWorkItem
from durabletask.engine import Registry
from durabletask.errors import CapabilityError, ConfigurationError, VersionMismatchError
from durabletask.history import ExecutionStarted, ExecutionTerminated, OrchestratorStarted
from durabletask.serialization import DEFAULT_CONVERTER
from durabletask.state import OrchestrationStatus
from durabletask.versions import VersionRule
from durabletask.worker import VersioningOptions, WorkerOptions
from durabletask.worker.turns import TurnRunner


class Source:
    """Takes back what it never gave, and knows nothing of versions."""

    def __init__(self) -> None:
        self.completed: list[OrchestrationResult] = []
        self.abandoned: list[tuple[Any, float]] = []

    def complete_orchestration(self, _: object, result: OrchestrationResult) -> None:
        self.completed.append(result)

    def abandon(self, item: Any, delay: float = 0.0) -> None:
        self.abandoned.append((item, delay))


@task.orchestration
def parent(ctx: task.OrchestrationContext) -> Any:
    yield ctx.call_sub_orchestration("child")


def first_turn(
    version: str | None, *more: Any, sequence: int = 0, name: str = "parent"
) -> OrchestrationWorkItem:
    """An item of an execution with this version."""
    started = ExecutionStarted(name, "i", "x", version=version)
    events = [OrchestratorStarted(1), started, *more]
    return OrchestrationWorkItem("i", "x", name, version, sequence, events, None)


@task.orchestration
def asking(ctx: task.OrchestrationContext) -> Any:
    return ctx.is_patched("p")
    yield


def runner(*, patches: bool = True, **versioning: Any) -> tuple[TurnRunner, Source]:
    """The turns of a worker with these options."""
    source: Any = Source()
    registry = Registry()
    registry.add_orchestration(parent)
    registry.add_orchestration(asking, name="asking")
    options = WorkerOptions(versioning=VersioningOptions(**versioning))
    capabilities = Capabilities(name="test", patches=patches)
    turns = TurnRunner(source, registry, DEFAULT_CONVERTER, options, lambda: 0.0, capabilities)
    return turns, source


@pytest.mark.parametrize("sequence", [0, 7])
def test_what_a_source_brings_all_the_same_is_given_back(sequence: int) -> None:
    """**version-match** reject: untouched, and not at once, lest a service send it in circles."""
    turns, source = runner(version="1", match_strategy="strict")
    item = first_turn("2", sequence=sequence)
    assert turns.start(item)
    [(abandoned, delay)] = source.abandoned
    assert abandoned is item
    assert delay >= 0.5
    assert source.completed == []


@pytest.mark.parametrize("sequence", [0, 7])
def test_a_mismatch_fails_without_history(sequence: int) -> None:
    """**version-match** fail: no user code runs, and no history has to be read for it."""
    turns, source = runner(version="1", match_strategy="strict", failure_strategy="fail")
    assert turns.start(first_turn("2", sequence=sequence))
    [[end]] = [result.actions for result in source.completed]
    assert isinstance(end, CompleteOrchestration)
    assert end.status is OrchestrationStatus.FAILED
    assert end.failure is not None
    assert end.failure.error_type == "durabletask.errors.VersionMismatchError"
    assert end.failure.is_caused_by(VersionMismatchError)
    assert end.failure.non_retriable


@pytest.mark.parametrize("failure", ["reject", "fail"])
def test_a_termination_is_carried_out_whatever_the_version(failure: Any) -> None:
    """**terminate** No user code runs."""
    turns, source = runner(version="1", match_strategy="strict", failure_strategy=failure)
    assert turns.start(first_turn("2", ExecutionTerminated('"enough"')))
    [[end]] = [result.actions for result in source.completed]
    assert isinstance(end, CompleteOrchestration)
    assert end.status is OrchestrationStatus.TERMINATED


def test_children_get_the_default_version() -> None:
    """**version-match** The worker's, where the call and the decorator name none."""
    turns, source = runner(version="1", default_version="1.5")
    turns.start(first_turn("2"))
    [[child]] = [result.actions for result in source.completed]
    assert isinstance(child, CreateSubOrchestration)
    assert child.version == "1.5"


@pytest.mark.parametrize("can", [True, False])
def test_patches_need_a_backend_that_records_them(can: bool) -> None:
    """**patch** Elsewhere the orchestrator meets an error that names the capability."""
    turns, source = runner(patches=can)
    turns.start(first_turn(None, name="asking"))
    [actions] = [result.actions for result in source.completed]
    end = actions[-1]
    assert isinstance(end, CompleteOrchestration)
    if can:
        assert actions == [ApplyPatch("p"), end]
        assert end.result == "true"
    else:
        assert end.failure is not None
        assert end.failure.is_caused_by(CapabilityError)
        assert "'patches'" in end.failure.message


def test_the_rule_of_the_options() -> None:
    """Backends get the rule as data, and nothing if every version is taken."""
    assert VersioningOptions(version="3", failure_strategy="fail").rule is None
    options = VersioningOptions(
        version="3", match_strategy="current_or_older", failure_strategy="fail"
    )
    assert options.rule == VersionRule(version="3", match="current_or_older", failure="fail")


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"version": 3}, "version must be text or None, not 3"),
        ({"default_version": b"3"}, "default_version must be text"),
        ({"match_strategy": "newest"}, "'none', 'strict', 'current_or_older', not 'newest'"),
        ({"failure_strategy": None}, "'reject', 'fail', not None"),
        ({"match_strategy": ["strict"]}, "match_strategy must be one of"),
    ],
)
def test_unusable_options_are_refused(changed: dict[str, Any], text: str) -> None:
    """They say what is wanted."""
    with pytest.raises(ConfigurationError) as caught:
        VersioningOptions(**changed)
    assert text in str(caught.value)


def test_options_of_another_kind_are_refused() -> None:
    """A rule is not a worker's options."""
    wrong: Any = VersionRule(version="3")
    with pytest.raises(ConfigurationError, match="versioning must be a VersioningOptions"):
        WorkerOptions(versioning=wrong)
