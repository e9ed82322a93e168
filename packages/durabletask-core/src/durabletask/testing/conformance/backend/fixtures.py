"""What every suite of this kit stands on: the fixtures an author overrides, and those they feed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, ClassVar

import pytest
import pytest_asyncio

from durabletask.backend import Backend
from durabletask.testing.conformance.backend.driver import HubDriver
from durabletask.worker import WorkerOptions

if TYPE_CHECKING:
    from durabletask.testing.conformance.backend.outage import FragileFactory, Outage

__all__ = ["BackendFactory", "BackendFixtures"]

BackendFactory = Callable[[], Awaitable[Backend]]
"""Gives another opened Backend object of one and the same task hub at every call."""

_OPTIONS = WorkerOptions(stop_timeout=5.0)


class BackendFixtures:
    """Base of all suites. Override ``backend_factory``; the others have defaults.

    ``opens_twice`` says whether one hub can be used by two Backend objects of this process at a
    time, as two processes would. None means: if the backend declares ``shared``.
    """

    opens_twice: ClassVar[bool | None] = None

    # --- to be overridden ----------------------------------------------------------------------

    @pytest.fixture
    def backend_factory(self) -> BackendFactory:
        """Override: an async function that gives opened backends of one hub, fresh per test.

        The kit closes what the function gave, before this fixture is torn down.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must override the fixture backend_factory: return an async "
            "function that gives an opened Backend of the same fresh hub at every call"
        )

    @pytest.fixture
    def neighbour_factory(self) -> BackendFactory | None:
        """Override: like ``backend_factory`` for another hub in the same place."""
        return None

    @pytest.fixture
    def fragile_factory(self) -> FragileFactory | None:
        """Override for a backend that can be cut off from its store on request.

        See :data:`~durabletask.testing.conformance.backend.FragileFactory`. Storage backends
        wrap their store in :class:`~durabletask.testing.conformance.backend.FragileStore`.
        """
        return None

    # --- what tests use ------------------------------------------------------------------------

    @pytest_asyncio.fixture
    async def open_backend(self, backend_factory: BackendFactory) -> AsyncIterator[BackendFactory]:
        """Opens backends of the hub and closes them after the test."""
        opened: list[Backend] = []

        async def open_backend() -> Backend:
            opened.append(await backend_factory())
            return opened[-1]

        yield open_backend
        for backend in reversed(opened):
            await backend.close()

    @pytest_asyncio.fixture
    async def backend(self, open_backend: BackendFactory) -> Backend:
        """A backend of the hub."""
        return await open_backend()

    @pytest_asyncio.fixture
    async def hub(self, backend: Backend) -> AsyncIterator[HubDriver]:
        """The hub; workers keep orchestrations in memory between turns."""
        driver = HubDriver(backend, _OPTIONS)
        yield driver
        await driver.stop()

    @pytest_asyncio.fixture(params=["sticky", "evicting"])
    async def any_hub(
        self, backend: Backend, request: pytest.FixtureRequest
    ) -> AsyncIterator[HubDriver]:
        """The hub, for a test run twice: with sessions that are kept, and with a replay a turn."""
        kept = 0 if request.param == "evicting" else 10_000
        driver = HubDriver(backend, WorkerOptions(stop_timeout=5.0, max_cached_sessions=kept))
        yield driver
        await driver.stop()

    @pytest_asyncio.fixture
    async def other_hub(
        self, backend: Backend, open_backend: BackendFactory
    ) -> AsyncIterator[HubDriver]:
        """The same hub seen by a second process, if there can be one, else by the first."""
        home = await open_backend() if self.can_open_twice(backend) else backend
        driver = HubDriver(home, _OPTIONS)
        yield driver
        await driver.stop()

    @pytest_asyncio.fixture
    async def fragile(
        self, fragile_factory: FragileFactory | None
    ) -> AsyncIterator[tuple[HubDriver, Outage]]:
        """The same hub seen by a process that can be cut off, and the means to do it."""
        if fragile_factory is None:
            pytest.skip("the suite has no fixture fragile_factory for this backend")
        backend, outage = await fragile_factory()
        driver = HubDriver(backend, _OPTIONS)
        yield driver, outage
        outage.end()
        await driver.stop()
        await backend.close()

    @pytest_asyncio.fixture
    async def neighbour(self, neighbour_factory: BackendFactory | None) -> AsyncIterator[HubDriver]:
        """Another hub in the same place."""
        if neighbour_factory is None:
            pytest.skip("the suite has no fixture neighbour_factory for this backend")
        backend = await neighbour_factory()
        driver = HubDriver(backend, _OPTIONS)
        yield driver
        await driver.stop()
        await backend.close()

    def can_open_twice(self, backend: Backend) -> bool:
        """Whether two Backend objects of this process may use the hub at a time."""
        return backend.capabilities.shared if self.opens_twice is None else self.opens_twice

    @staticmethod
    def require(backend: Backend, capability: str) -> None:
        """Skip the test if the backend declares that it lacks ``capability``."""
        if not getattr(backend.capabilities, capability):
            pytest.skip(f"the {backend.capabilities.name} backend declares {capability}=False")
