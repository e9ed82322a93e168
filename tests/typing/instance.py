"""What type checkers see of an instance's state. Read by them, never run."""

from datetime import datetime
from typing import assert_type

from durabletask.errors import DurableTaskError, OrchestrationFailedError
from durabletask.state import (
    FailureDetails,
    OrchestrationState,
    OrchestrationStatus,
    Page,
    PurgeResult,
)


def snapshot(state: OrchestrationState) -> None:
    """The fields of a snapshot are what they say."""
    assert_type(state.instance_id, str)
    assert_type(state.runtime_status, OrchestrationStatus)
    assert_type(state.created_at, datetime)
    assert_type(state.completed_at, datetime | None)
    assert_type(state.failure_details, FailureDetails | None)
    assert_type(state.tags, dict[str, str])
    assert_type(state.raise_if_failed(), None)


def answers(page: Page, purged: PurgeResult) -> None:
    """A page holds snapshots, a purge says how many it took."""
    assert_type(page.items, list[OrchestrationState])
    assert_type(page.continuation_token, str | None)
    assert_type(purged.deleted_instance_count, int)


def caught(error: OrchestrationFailedError) -> DurableTaskError:
    """Every error has the one root."""
    return error
