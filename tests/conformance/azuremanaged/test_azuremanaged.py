"""The backend of the Durable Task Scheduler keeps the contract of seam 1.

The scheduler is our sidecar, which speaks TLS and demands a token. Once it is treated as a
stranger: its offer to take many outcomes in one message is declined, so all goes by the calls of
the published protocol.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

import pytest
import pytest_asyncio
import trustme

from durabletask.azuremanaged import AzureManagedBackend, SchedulerSettings
from durabletask.grpc import GrpcOptions, Sidecar, SidecarOptions
from durabletask.testing.conformance import BackendSuite
from durabletask.testing.conformance.backend import (
    LEASE,
    BackendFixtures,
    ReplaySuite,
    SharingSuite,
    StorageSuite,
    WorkItemSuite,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from durabletask.backend import Backend
    from durabletask.testing.conformance.backend import BackendFactory, FragileFactory, Outage

TOKEN = "the token of these tests"

_names = itertools.count()

Opener = Callable[..., Awaitable[AzureManagedBackend]]
WireOpener = Callable[[int], Awaitable[tuple["Outage", int]]]


class Access(NamedTuple):
    """What a credential gives."""

    token: str
    expires_on: float


class FakeCredential:
    """Stands for a credential of azure-identity."""

    async def get_token(self, *scopes: str) -> Access:
        assert scopes == ("https://durabletask.io/.default",)
        return Access(TOKEN, time.time() + 3600)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Who signs the certificate."""
    return trustme.CA()


@pytest_asyncio.fixture
async def scheduler(authority: trustme.CA) -> AsyncIterator[Sidecar]:
    """A sidecar over TLS that demands the token."""
    certificate = authority.issue_cert("127.0.0.1")
    options = SidecarOptions(
        certificate=b"".join(pem.bytes() for pem in certificate.cert_chain_pems),
        private_key=certificate.private_key_pem.bytes(),
        token=TOKEN,
        linger=LEASE,
        drain_timeout=5.0,
    )
    async with Sidecar("memory://", port=0, options=options) as sidecar:
        yield sidecar


@pytest.fixture
def batches() -> bool:
    """Whether the offer is taken."""
    return True


@pytest.fixture
def open_scheduler(
    scheduler: Sidecar,
    authority: trustme.CA,
    tmp_path_factory: pytest.TempPathFactory,
    batches: bool,
) -> Opener:
    """Opens backends of a hub."""
    trusted = tmp_path_factory.mktemp("trust") / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))

    async def opened(task_hub: str, port: int | None = None) -> AzureManagedBackend:
        settings = SchedulerSettings(
            endpoint=f"https://127.0.0.1:{port or scheduler.port}", task_hub=task_hub
        )
        options = GrpcOptions(task_hub=task_hub, ca_file=str(trusted), batches=batches)
        backend = AzureManagedBackend(settings, options, credential=FakeCredential())
        await backend.open()
        return backend

    return opened


class SchedulerFixtures(BackendFixtures):
    """Several backends on one scheduler, another hub beside theirs, and wires that can be cut."""

    opens_twice = True

    @pytest.fixture
    def hub_name(self) -> str:
        return f"azuremanaged-conformance-{next(_names)}"

    @pytest.fixture
    def backend_factory(self, open_scheduler: Opener, hub_name: str) -> BackendFactory:
        return lambda: open_scheduler(hub_name)

    @pytest.fixture
    def neighbour_factory(self, open_scheduler: Opener, hub_name: str) -> BackendFactory:
        return lambda: open_scheduler(f"{hub_name}-neighbour")

    @pytest.fixture
    def fragile_factory(
        self, scheduler: Sidecar, open_scheduler: Opener, hub_name: str, open_wire: WireOpener
    ) -> FragileFactory:
        async def opened() -> tuple[Backend, Outage]:
            wire, port = await open_wire(scheduler.port)
            return await open_scheduler(hub_name, port), wire

        return opened


class TestAzureManaged(SchedulerFixtures, BackendSuite):
    """The whole contract."""


class TestPublishedCalls(SchedulerFixtures, ReplaySuite, SharingSuite, StorageSuite, WorkItemSuite):
    """What there is between a worker and any server of the protocol."""

    @pytest.fixture
    def batches(self) -> bool:
        return False
