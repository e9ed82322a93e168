"""A client and workers of an empty hub."""

from collections.abc import AsyncIterator

import pytest_asyncio

from durabletask.client import TaskHubClient

from .scene import Workers


@pytest_asyncio.fixture
async def client(url: str) -> AsyncIterator[TaskHubClient]:
    """A client of the hub."""
    async with TaskHubClient(url) as client:
        yield client


@pytest_asyncio.fixture
async def workers(url: str) -> AsyncIterator[Workers]:
    """Starts workers on the hub."""
    workers = Workers(url)
    async with workers.stack:
        yield workers
