"""How a backend talks to a scheduler."""

from __future__ import annotations

from dataclasses import dataclass

from durabletask.grpc import GrpcOptions

__all__ = ["AzureManagedOptions"]


@dataclass(frozen=True, kw_only=True)
class AzureManagedOptions(GrpcOptions):
    """The options of ``azuremanaged://`` URLs, besides those of ``GrpcOptions``.

    Attributes:
        authentication: a kind of credential, as in connection strings; ``None`` for none.
        client_id, tenant_id, token_file_path, additionally_allowed_tenants: for kinds that take
            them; tenants are separated by commas.
        plaintext: speak without TLS, to a local emulator.
        resource: what tokens are for, instead of the service's own name.
    """

    authentication: str = "DefaultAzure"
    client_id: str | None = None
    tenant_id: str | None = None
    token_file_path: str | None = None
    additionally_allowed_tenants: str = ""
    plaintext: bool = False
    resource: str | None = None
