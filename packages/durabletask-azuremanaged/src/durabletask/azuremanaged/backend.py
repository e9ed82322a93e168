"""The backend that talks to a scheduler."""

from __future__ import annotations

import asyncio
import inspect
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from durabletask.azuremanaged.authentication import make_credential
from durabletask.azuremanaged.endpoint import parse_endpoint
from durabletask.azuremanaged.tokens import TokenCache, scope_of
from durabletask.grpc import GrpcBackend, GrpcOptions

if TYPE_CHECKING:
    from durabletask.azuremanaged.settings import SchedulerSettings

__all__ = ["AzureManagedBackend"]


class AzureManagedBackend(GrpcBackend):
    """One task hub of a Durable Task Scheduler.

    Args:
        settings: where the scheduler is and how to log in.
        options: limits; its task hub is that of the settings.
        credential: a credential of azure-identity, plain or async, instead of the one that the
            settings name. Its owner closes it.
        resource: what tokens are for, instead of the service's own name.

    Raises:
        ConfigurationError: a token would travel in plain text.
    """

    def __init__(
        self,
        settings: SchedulerSettings,
        options: GrpcOptions | None = None,
        *,
        credential: Any = None,
        resource: str | None = None,
    ) -> None:
        self._settings = settings
        self._scope = scope_of(resource)
        self._given = credential
        self._own: Any = None
        self._cache: TokenCache | None = None
        self._logging_in = asyncio.Lock()
        authenticated = credential is not None or settings.authentication.strip().lower() != "none"
        super().__init__(
            parse_endpoint(settings.endpoint),
            options or GrpcOptions(task_hub=settings.task_hub),
            tokens=self._token if authenticated else None,
            name="azuremanaged",
            user_agent=f"durabletask-azuremanaged/{version('durabletask-azuremanaged')}",
        )

    def __repr__(self) -> str:
        settings = self._settings
        return f"AzureManagedBackend({settings.endpoint!r}, task_hub={settings.task_hub!r})"

    async def _token(self) -> str:
        if self._cache is None:
            async with self._logging_in:
                if self._cache is None:
                    credential = self._given
                    if credential is None:
                        credential = self._own = await asyncio.to_thread(
                            make_credential, self._settings
                        )
                    self._cache = TokenCache(credential, self._scope)
        return await self._cache()

    async def close(self) -> None:
        await super().close()
        own, self._own, self._cache = self._own, None, None
        close = getattr(own, "close", None)
        if close is not None:
            closing = close()
            if inspect.isawaitable(closing):
                await closing
