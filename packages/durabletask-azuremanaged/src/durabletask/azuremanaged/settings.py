"""What a connection string says."""

from __future__ import annotations

from dataclasses import dataclass, field

from durabletask.azuremanaged.authentication import check_kind
from durabletask.azuremanaged.endpoint import LOCAL, parse_endpoint
from durabletask.errors import ArgumentTypeError, ConfigurationError
from durabletask.plugins.options import did_you_mean

__all__ = ["DEFAULT_TASK_HUB", "SchedulerSettings"]

DEFAULT_TASK_HUB = "default"

_KEYS = {
    name.lower(): name
    for name in (
        "Endpoint",
        "TaskHub",
        "Authentication",
        "ClientID",
        "TenantId",
        "TokenFilePath",
        "AdditionallyAllowedTenants",
    )
}
"""The keys of a connection string, which are matched without regard to case."""


@dataclass(frozen=True, kw_only=True)
class SchedulerSettings:
    """Where a scheduler is and how to log in there.

    Attributes:
        endpoint: ``https://host[:port]``.
        task_hub: the task hub.
        authentication: a kind of credential, ``DefaultAzure`` for example; ``None`` for none.
        client_id, tenant_id, token_file_path, additionally_allowed_tenants: for kinds that take
            them.

    Raises:
        ConfigurationError: the endpoint is malformed, or the kind of credential unknown.
    """

    endpoint: str = LOCAL
    task_hub: str = DEFAULT_TASK_HUB
    authentication: str = "None"
    client_id: str | None = field(default=None, repr=False)
    tenant_id: str | None = field(default=None, repr=False)
    token_file_path: str | None = field(default=None, repr=False)
    additionally_allowed_tenants: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        parse_endpoint(self.endpoint)
        check_kind(self.authentication)

    @classmethod
    def parse(cls, connection_string: str) -> SchedulerSettings:
        """Read a connection string: ``Endpoint=…;TaskHub=…;Authentication=…``.

        Pairs are separated by semicolons and split at the first equals sign; blanks around keys
        and values do not count. Endpoint, TaskHub and Authentication are required.

        Raises:
            ArgumentTypeError: it is no text.
            ConfigurationError: a part is malformed, unknown, missing or given twice; the text
                names the part, and repeats no value.
        """
        if not isinstance(connection_string, str):
            raise ArgumentTypeError(
                f"a connection string is text, not {type(connection_string).__name__}"
            )
        values = _pairs(connection_string)
        for key in ("endpoint", "taskhub", "authentication"):
            if not values.get(key):
                raise ConfigurationError(f"the connection string lacks {_KEYS[key]}=...")
        tenants = values.get("additionallyallowedtenants", "").split(",")
        return cls(
            endpoint=values["endpoint"],
            task_hub=values["taskhub"],
            authentication=values["authentication"],
            client_id=values.get("clientid") or None,
            tenant_id=values.get("tenantid") or None,
            token_file_path=values.get("tokenfilepath") or None,
            additionally_allowed_tenants=tuple(name.strip() for name in tenants if name.strip()),
        )


def _pairs(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for number, part in enumerate(text.split(";"), start=1):
        if not part.strip():
            continue
        key, equals, value = part.partition("=")
        name = key.strip().lower()
        if not equals or not name:
            raise ConfigurationError(
                f"part {number} of the connection string is no Key=Value pair; the keys are "
                f"{', '.join(_KEYS.values())}"
            )
        if name not in _KEYS:
            # Only the nearest known key is shown: the unknown one may be a secret out of place.
            raise ConfigurationError(
                f"part {number} of the connection string has an unknown key"
                f"{did_you_mean(name, _KEYS)}; the keys are {', '.join(_KEYS.values())}"
            )
        if name in values:
            raise ConfigurationError(f"the connection string has {_KEYS[name]} twice")
        values[name] = value.strip()
    return values
