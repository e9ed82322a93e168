"""Kinds of credentials, each with the class of azure-identity that it stands for.

azure-identity is imported when a credential is made, and never for ``Authentication=None``.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from durabletask.errors import ConfigurationError
from durabletask.plugins.options import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durabletask.azuremanaged.settings import SchedulerSettings

__all__ = ["check_kind", "make_credential"]


class _Kind(NamedTuple):
    """A kind of credential.

    Attributes:
        name: as connection strings spell it.
        module, cls: where azure-identity has it. None: it has none for Python.
        takes: which settings it takes, and under which argument.
    """

    name: str
    cls: str | None
    takes: Mapping[str, str] = MappingProxyType({})
    module: str = "azure.identity.aio"


_TENANTS = {
    "tenant_id": "tenant_id",
    "additionally_allowed_tenants": "additionally_allowed_tenants",
}

_KINDS = {
    kind.name.lower(): kind
    for kind in (
        _Kind(
            "DefaultAzure",
            "DefaultAzureCredential",
            {
                "client_id": "managed_identity_client_id",
                "additionally_allowed_tenants": "additionally_allowed_tenants",
            },
        ),
        _Kind("ManagedIdentity", "ManagedIdentityCredential", {"client_id": "client_id"}),
        _Kind(
            "WorkloadIdentity",
            "WorkloadIdentityCredential",
            {"client_id": "client_id", "token_file_path": "token_file_path", **_TENANTS},
        ),
        _Kind("Environment", "EnvironmentCredential"),
        _Kind("AzureCLI", "AzureCliCredential", _TENANTS),
        _Kind("AzurePowerShell", "AzurePowerShellCredential", _TENANTS),
        _Kind("VisualStudioCode", "VisualStudioCodeCredential", _TENANTS),
        _Kind(
            "InteractiveBrowser",
            "InteractiveBrowserCredential",
            {"client_id": "client_id", **_TENANTS},
            module="azure.identity",
        ),
        _Kind("VisualStudio", None),
        _Kind("IntelliJ", None),
        _Kind("None", None),
    )
}


def check_kind(name: str) -> None:
    """Raise ConfigurationError unless ``name`` is a kind that works in Python."""
    kind = _KINDS.get(name.strip().lower())
    if kind is None:
        raise ConfigurationError(
            f"the Authentication is of an unknown kind{did_you_mean(name.lower(), _KINDS)}; "
            f"known are {', '.join(kind.name for kind in _KINDS.values())}"
        )
    if kind.cls is None and kind.name != "None":
        raise ConfigurationError(
            f"Authentication={kind.name} exists in other languages only: azure-identity for "
            "Python has no such credential; DefaultAzure tries all that it has"
        )


def make_credential(settings: SchedulerSettings) -> Any:
    """The credential that the settings ask for; None if they ask for none.

    Raises:
        ConfigurationError: azure-identity cannot make it of these settings.
    """
    kind = _KINDS[settings.authentication.strip().lower()]
    if kind.cls is None:
        return None
    import importlib

    arguments = {
        argument: list(value) if isinstance(value, tuple) else value
        for name, argument in kind.takes.items()
        if (value := getattr(settings, name))
    }
    try:
        credential = getattr(importlib.import_module(kind.module), kind.cls)
        return credential(**arguments)
    except ValueError as error:
        raise ConfigurationError(f"Authentication={kind.name}: {error}") from error
