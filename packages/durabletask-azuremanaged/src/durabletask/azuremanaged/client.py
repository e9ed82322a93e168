"""The client of a scheduler."""

from __future__ import annotations

from typing import Any

from durabletask.azuremanaged.connecting import scheduler_backend
from durabletask.client import TaskHubClient
from durabletask.serialization import DEFAULT_CONVERTER, DataConverter

__all__ = ["DurableTaskSchedulerClient"]


class DurableTaskSchedulerClient(TaskHubClient):
    """Manages the orchestrations of one task hub of a Durable Task Scheduler.

    All methods are those of :class:`durabletask.client.TaskHubClient`.

    Args:
        connection_string: ``Endpoint=…;TaskHub=…;Authentication=…``. Without it and without
            ``endpoint`` the local emulator is meant, ``http://localhost:8080``.
        task_hub_name: the task hub, if the connection string names none; ``default`` otherwise.
        endpoint: the scheduler's address, instead of a connection string.
        credential: a credential of azure-identity, plain or async; it replaces the connection
            string's Authentication.
        data_converter: turns inputs and outputs into JSON and back.
        default_version: version of instances that are started without one and have none in their
            decorator.
        connection: limits of the connection, see :class:`durabletask.grpc.GrpcOptions`.

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
        data_converter: DataConverter = DEFAULT_CONVERTER,
        default_version: str | None = None,
        **connection: Any,
    ) -> None:
        backend = scheduler_backend(
            connection_string, task_hub_name, endpoint, credential, connection
        )
        super().__init__(
            backend=backend, data_converter=data_converter, default_version=default_version
        )

    def __repr__(self) -> str:
        return f"DurableTaskSchedulerClient({self._shared!r})"
