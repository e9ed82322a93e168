"""Bearer tokens: fetched when first needed, and anew before they expire."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import time
from typing import Any

from durabletask.errors import BackendUnavailableError

__all__ = ["TokenCache", "scope_of"]

_log = logging.getLogger("durabletask.azuremanaged")

_MARGIN = 600.0
"""Seconds before its expiry at which a token is replaced; at most half of its life."""

_PAUSE = 10.0
"""Seconds between two attempts to replace a token that is still good."""


def scope_of(resource: str | None = None) -> str:
    """The scope of tokens for a resource; None is the service in the cloud this runs in."""
    if resource is None:
        region = os.environ.get("REGION_NAME", "").strip().lower()
        government = region.startswith(("usgov", "usdod"))
        resource = "https://durabletask.azure.us" if government else "https://durabletask.io"
    resource = resource.strip().rstrip("/").removesuffix("/.default").rstrip("/")
    return f"{resource}/.default"


class TokenCache:
    """Gives a token that is good, from a credential of azure-identity or one like it.

    Args:
        credential: has ``get_token(scope)``, plain or async, which gives something with
            ``token`` and ``expires_on`` (seconds since the epoch). A plain one may block: it is
            called in a thread.

    Concurrent callers share one call of the credential.
    """

    def __init__(self, credential: Any, scope: str) -> None:
        self._credential = credential
        self._scope = scope
        self._lock = asyncio.Lock()
        self._token: str | None = None
        self._refresh_at = 0.0
        self._expires_at = 0.0

    def __repr__(self) -> str:
        return f"TokenCache({type(self._credential).__name__})"

    async def __call__(self) -> str:
        """A token that has not expired.

        Raises:
            BackendUnavailableError: the credential gives none, and the last one has expired.
        """
        if self._token is not None and time.time() < self._refresh_at:
            return self._token
        async with self._lock:
            if self._token is None or time.time() >= self._refresh_at:
                await self._refresh()
            assert self._token is not None
            return self._token

    async def _refresh(self) -> None:
        began = time.time()
        try:
            get_token = self._credential.get_token
            if inspect.iscoroutinefunction(get_token):
                access = await get_token(self._scope)
            else:
                access = await asyncio.to_thread(get_token, self._scope)
                if inspect.isawaitable(access):
                    access = await access
        except Exception as error:
            if self._token is not None and began < self._expires_at:
                _log.warning("no new token from %r; the old one is still good", self)
                self._refresh_at = min(self._expires_at, began + _PAUSE)
                return
            raise BackendUnavailableError(
                f"{type(self._credential).__name__} gives no token ({type(error).__name__}): "
                "log in, or choose another Authentication"
            ) from error
        self._token = access.token
        self._expires_at = float(access.expires_on)
        life = self._expires_at - began
        self._refresh_at = self._expires_at - min(_MARGIN, max(0.0, life / 2))
