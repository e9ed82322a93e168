"""What type checkers see of clients, workers and their options. Read by them, never run."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from typing import assert_type

from durabletask.client import TaskHubClient
from durabletask.versions import VersionRule, compare_versions
from durabletask.worker import TaskHubWorker, VersioningOptions, WorkerOptions


def versions() -> None:
    """Strategies are words of which checkers know the spelling."""
    options = VersioningOptions(
        version="2.0",
        default_version=None,
        match_strategy="current_or_older",
        failure_strategy="fail",
    )
    VersioningOptions(match_strategy="newest")  # type: ignore[arg-type]
    VersioningOptions(failure_strategy="park")  # type: ignore[arg-type]
    VersioningOptions(version=2)  # type: ignore[arg-type]
    assert_type(options.rule, VersionRule | None)
    assert_type(compare_versions("1", None), int)
    TaskHubWorker("memory://", options=WorkerOptions(versioning=options))
    TaskHubClient("memory://", default_version="2.0")
