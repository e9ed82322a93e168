"""Stores on a file of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from durabletask.stores.sqlite import SQLiteOptions, SQLiteStore

if TYPE_CHECKING:
    from pathlib import Path

Opener = Callable[..., Awaitable[SQLiteStore]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is, or will be."""
    return tmp_path / "hub.db"


@pytest_asyncio.fixture
async def opened(path: Path) -> AsyncIterator[Opener]:
    """Opens stores on the file, with options by keyword, and closes them after the test."""
    stores: list[SQLiteStore] = []

    async def open_store(**options: Any) -> SQLiteStore:
        settings: dict[str, Any] = {"synchronous": "normal", **options}
        store = SQLiteStore(path, SQLiteOptions(**settings))
        stores.append(store)
        await store.open()
        return store

    yield open_store
    await asyncio.gather(*(store.close() for store in stores))


@pytest_asyncio.fixture
async def store(opened: Opener) -> SQLiteStore:
    """A store on the file."""
    return await opened()
