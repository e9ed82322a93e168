"""From the arguments of clients and workers to a backend."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from durabletask.azuremanaged.backend import AzureManagedBackend
from durabletask.azuremanaged.endpoint import LOCAL
from durabletask.azuremanaged.settings import DEFAULT_TASK_HUB, SchedulerSettings
from durabletask.errors import ConfigurationError
from durabletask.grpc import GrpcOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["scheduler_backend"]


def scheduler_backend(
    connection_string: str | None,
    task_hub_name: str | None,
    endpoint: str | None,
    credential: Any,
    connection: Mapping[str, Any],
) -> AzureManagedBackend:
    """The backend that a client or worker is to use.

    Args:
        connection: fields of ``GrpcOptions``.

    Raises:
        ConfigurationError: the arguments exclude each other, or one is unusable.
    """
    if connection_string is not None:
        if endpoint is not None:
            raise ConfigurationError(
                "the connection string has an Endpoint: give it, or endpoint=, not both"
            )
        settings = SchedulerSettings.parse(_with_hub(connection_string, task_hub_name))
        if task_hub_name is not None and task_hub_name != settings.task_hub:
            raise ConfigurationError(
                f"the connection string names the task hub {settings.task_hub!r} and "
                f"task_hub_name {task_hub_name!r}: leave one out"
            )
    else:
        settings = SchedulerSettings(
            endpoint=LOCAL if endpoint is None else endpoint,
            task_hub=DEFAULT_TASK_HUB if task_hub_name is None else task_hub_name,
        )
    options = GrpcOptions(**{**connection, "task_hub": settings.task_hub})
    if credential is not None:
        settings = dataclasses.replace(settings, authentication="None")
    return AzureManagedBackend(settings, options, credential=credential)


def _with_hub(connection_string: str, task_hub_name: str | None) -> str:
    """The connection string, completed by a task hub that only the argument names."""
    if task_hub_name is None or not isinstance(connection_string, str):
        return connection_string
    keys = (part.partition("=")[0].strip().lower() for part in connection_string.split(";"))
    return (
        connection_string if "taskhub" in keys else f"{connection_string};TaskHub={task_hub_name}"
    )
