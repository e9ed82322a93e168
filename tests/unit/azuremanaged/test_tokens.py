"""Tokens: fetched once for many callers, replaced before they expire, never shown."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

import pytest

from durabletask.azuremanaged.tokens import TokenCache, scope_of
from durabletask.errors import BackendUnavailableError


class Access(NamedTuple):
    """What credentials give."""

    token: str
    expires_on: float


class Credential:
    """Gives numbered tokens, async as those of ``azure.identity.aio``."""

    def __init__(self, life: float) -> None:
        self.life = life
        self.count = 0
        self.scopes: set[str] = set()
        self.fails = False

    async def get_token(self, *scopes: str) -> Access:
        await asyncio.sleep(0)
        if self.fails:
            raise OSError("secret-tenant cannot be reached")
        self.count += 1
        self.scopes.update(scopes)
        return Access(f"secret-{self.count}", time.time() + self.life)


class PlainCredential(Credential):
    """The same, plain as those of ``azure.identity``."""

    def get_token(self, *scopes: str) -> Access:  # type: ignore[override]
        return asyncio.run(super().get_token(*scopes))


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", [Credential, PlainCredential])
async def test_one_token_for_many(kind: type[Credential]) -> None:
    """Concurrent calls wait for one fetch, and later ones take what is there."""
    credential = kind(3600)
    tokens = TokenCache(credential, "s/.default")
    assert set(await asyncio.gather(*(tokens() for _ in range(20)))) == {"secret-1"}
    assert await tokens() == "secret-1"
    assert (credential.count, credential.scopes) == (1, {"s/.default"})


@pytest.mark.asyncio
async def test_replaced_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes before, or after half of a shorter life."""
    now = time.time()
    monkeypatch.setattr("durabletask.azuremanaged.tokens.time.time", lambda: now)
    credential = Credential(3600)
    tokens = TokenCache(credential, "s")
    assert await tokens() == "secret-1"
    now += 2990
    assert await tokens() == "secret-1"
    now += 20
    assert await tokens() == "secret-2"
    credential.life = 60
    now += 3600
    assert await tokens() == "secret-3"
    now += 31
    assert await tokens() == "secret-4"


@pytest.mark.asyncio
async def test_a_good_token_outlives_a_failing_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    """**failure-infra** Only when it has expired are callers told, without any secret."""
    now = time.time()
    monkeypatch.setattr("durabletask.azuremanaged.tokens.time.time", lambda: now)
    credential = Credential(3600)
    tokens = TokenCache(credential, "s")
    await tokens()
    credential.fails = True
    now += 3100
    assert await tokens() == "secret-1"
    now += 600
    with pytest.raises(BackendUnavailableError, match="gives no token") as caught:
        await tokens()
    assert "secret" not in str(caught.value)
    credential.fails = False
    assert await tokens() == "secret-2"
    assert "secret" not in repr(tokens)


@pytest.mark.parametrize(
    ("resource", "region", "scope"),
    [
        (None, "", "https://durabletask.io/.default"),
        (None, "westeurope", "https://durabletask.io/.default"),
        (None, "USGovVirginia", "https://durabletask.azure.us/.default"),
        (None, "usdodeast", "https://durabletask.azure.us/.default"),
        (" https://own.example/.default ", "usgov", "https://own.example/.default"),
        ("https://own.example//", "", "https://own.example/.default"),
    ],
)
def test_scopes(
    resource: str | None, region: str, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service's name in each cloud, or the caller's, trimmed."""
    monkeypatch.setenv("REGION_NAME", region)
    assert scope_of(resource) == scope
