"""The worker of a scheduler."""

from __future__ import annotations

from typing import Any

from durabletask.azuremanaged.connecting import scheduler_backend
from durabletask.serialization import DEFAULT_CONVERTER, DataConverter
from durabletask.worker import TaskHubWorker, WorkerOptions

__all__ = ["DurableTaskSchedulerWorker"]


class DurableTaskSchedulerWorker(TaskHubWorker):
    """Runs orchestrations and activities of one task hub of a Durable Task Scheduler.

    All methods are those of :class:`durabletask.worker.TaskHubWorker`; the first arguments are
    those of :class:`DurableTaskSchedulerClient`.

    Args:
        options: limits and choices of the worker.

    Raises:
        ConfigurationError: an argument is unusable; no secret is repeated.
    """

    def __init__(
        self,
        connection_string: str | None = None,
        task_hub_name: str | None = None,
        *,
        endpoint: str | None = None,
        credential: Any = None,
        options: WorkerOptions | None = None,
        data_converter: DataConverter = DEFAULT_CONVERTER,
        **connection: Any,
    ) -> None:
        backend = scheduler_backend(
            connection_string, task_hub_name, endpoint, credential, connection
        )
        super().__init__(backend=backend, options=options, data_converter=data_converter)

    def __repr__(self) -> str:
        return f"DurableTaskSchedulerWorker({self._shared!r}, {self._state})"
