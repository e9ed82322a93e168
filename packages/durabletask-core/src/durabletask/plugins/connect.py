"""From a URL to a backend."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from durabletask.errors import BackendUrlError
from durabletask.plugins.manager import plugin_manager
from durabletask.plugins.url import parse_url

if TYPE_CHECKING:
    from durabletask.backend import Backend
    from durabletask.plugins.url import BackendUrl

__all__ = ["DEFAULT_URL", "URL_VARIABLE", "connect", "resolve_url"]

URL_VARIABLE = "DURABLETASK_URL"
DEFAULT_URL = "sqlite:///durabletask.db"


def resolve_url(url: str | None = None, *, task_hub: str | None = None) -> BackendUrl:
    """The URL to use: ``url``, else the environment's ``DURABLETASK_URL``, else the default.

    The default is the file ``durabletask.db`` in the working directory.

    Args:
        task_hub: the task hub if the URL names none.

    Raises:
        BackendUrlError: it is malformed, or two task hubs are named.
    """
    if url is not None:
        return parse_url(url, task_hub=task_hub)
    configured = os.environ.get(URL_VARIABLE)
    if not configured:
        return parse_url(DEFAULT_URL, task_hub=task_hub)
    try:
        return parse_url(configured, task_hub=task_hub)
    except BackendUrlError as error:
        raise BackendUrlError(f"{error} (in the environment variable {URL_VARIABLE})") from None


def connect(url: str | None = None) -> Backend:
    """A new backend for a URL, not yet opened; the caller opens and closes it.

    Clients and workers that are given a URL do not use this: they share one backend, see
    :class:`durabletask.plugins.SharedBackend`.

    Args:
        url: None takes ``DURABLETASK_URL``, then ``sqlite:///durabletask.db``.

    Raises:
        BackendUrlError: the URL is malformed, or its place or an option is unusable.
        BackendNotFoundError: no backend for the scheme is installed, or it lacks its driver.
    """
    return plugin_manager().build(resolve_url(url))
