"""The hooks: everything a plugin can take part in.

A plugin is a module or object whose functions are marked with ``durabletask.plugins.hookimpl``.
A *backend* is found by the scheme of a URL: an entry point of that name in the group
``durabletask.backends`` leads to it. An *observer* is any entry point in the group
``durabletask.observers``; observers are loaded when the first worker of the process starts.
*Commands* come from entry points in the group ``durabletask.commands``, which the program
``durabletask`` loads when it starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from durabletask.backend import Backend, WorkerProfile
    from durabletask.plugins.command import Command
    from durabletask.plugins.url import BackendUrl

__all__ = [
    "durabletask_backend",
    "durabletask_commands",
    "durabletask_worker_started",
    "durabletask_worker_stopped",
    "hookimpl",
]

PROJECT = "durabletask"

hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's function as the implementation of the hook of the same name."""

hookspec = pluggy.HookspecMarker(PROJECT)


@hookspec(firstresult=True)
def durabletask_backend(url: BackendUrl) -> Backend | None:
    """Build the backend for a URL, without opening it.

    Asked are the plugin registered for ``url.backend`` and, for wrapping it, observers; backends
    of other schemes are not. Import the driver in here, not at the top of the module, so that
    what is wrong with the URL is said even where the driver is missing.

    Args:
        url: the URL, its task hub and its options not yet checked; see ``BackendUrl.options``.

    Returns:
        An unopened backend. None if the plugin does not want to serve this URL.

    Raises:
        BackendUrlError: the place or an option is unusable. Nothing may have been written.
    """


@hookspec
def durabletask_commands() -> Iterable[Command]:
    """Bring sub-commands of the program ``durabletask``.

    Called when the program starts, whatever the command line says, so import what a command
    needs when it runs.

    Returns:
        The commands. No two in one environment have the same name.
    """
    raise NotImplementedError  # pluggy asks the plugins; this is only what it compares them with


@hookspec
def durabletask_worker_started(profile: WorkerProfile) -> None:
    """A worker of this process is ready to receive work.

    Called on the worker's event loop, so it must not block. What it raises is logged, and keeps
    the observers after it from hearing, but never harms the worker.

    Args:
        profile: what the worker runs, and its name.
    """


@hookspec
def durabletask_worker_stopped(profile: WorkerProfile) -> None:
    """A worker of this process has been drained and will receive no more work.

    Called once for each ``durabletask_worker_started``, in the same way.

    Args:
        profile: the very object that ``durabletask_worker_started`` was called with.
    """
