"""The backend of ``azuremanaged://`` URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.errors import BackendUrlError, ConfigurationError
from durabletask.plugins import hookimpl

if TYPE_CHECKING:
    from durabletask.backend import Backend
    from durabletask.plugins import BackendUrl

__all__ = ["durabletask_backend"]


@hookimpl
def durabletask_backend(url: BackendUrl) -> Backend:
    """A backend on a scheduler; the options are those of ``AzureManagedOptions``."""
    server = url.server()
    if server.username is not None or server.password is not None:
        raise BackendUrlError(f"{url}: a scheduler knows no passwords; see authentication=")
    if url.path.strip("/"):
        raise BackendUrlError(f"{url}: the URL of a scheduler ends after the port")
    from durabletask.azuremanaged.backend import AzureManagedBackend
    from durabletask.azuremanaged.options import AzureManagedOptions
    from durabletask.azuremanaged.settings import SchedulerSettings

    options = url.options(AzureManagedOptions)
    host = f"[{server.host}]" if ":" in server.host else server.host
    port = f":{server.port}" if server.port is not None else ""
    try:
        settings = SchedulerSettings(
            endpoint=f"{'http' if options.plaintext else 'https'}://{host}{port}",
            task_hub=options.task_hub,
            authentication=options.authentication,
            client_id=options.client_id,
            tenant_id=options.tenant_id,
            token_file_path=options.token_file_path,
            additionally_allowed_tenants=tuple(
                filter(None, options.additionally_allowed_tenants.split(","))
            ),
        )
        return AzureManagedBackend(settings, options, resource=options.resource)
    except ConfigurationError as error:
        raise BackendUrlError(f"{url}: {error}") from error
