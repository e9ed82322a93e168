"""All suites of seam 2 in one class."""

from __future__ import annotations

from durabletask.testing.conformance.store.activities import ActivityQueueSuite
from durabletask.testing.conformance.store.children import ChildSuite
from durabletask.testing.conformance.store.claims import ClaimSuite
from durabletask.testing.conformance.store.commits import CommitSuite
from durabletask.testing.conformance.store.continuing import ContinueAsNewSuite
from durabletask.testing.conformance.store.crashing import CrashPointSuite
from durabletask.testing.conformance.store.creates import CreateSuite
from durabletask.testing.conformance.store.entities import EntitySuite
from durabletask.testing.conformance.store.histories import RandomHistorySuite
from durabletask.testing.conformance.store.hubs import HubSuite
from durabletask.testing.conformance.store.inboxes import InboxSuite
from durabletask.testing.conformance.store.lanes import LaneSuite
from durabletask.testing.conformance.store.limits import LimitSuite
from durabletask.testing.conformance.store.lone import LoneTurnSuite
from durabletask.testing.conformance.store.parking import ParkSuite
from durabletask.testing.conformance.store.purges import PurgeSuite
from durabletask.testing.conformance.store.queries import QuerySuite
from durabletask.testing.conformance.store.reading import ReadSuite
from durabletask.testing.conformance.store.resolving import ResolveSuite
from durabletask.testing.conformance.store.rewinds import RewindSuite
from durabletask.testing.conformance.store.takeovers import TakeoverSuite
from durabletask.testing.conformance.store.timers import TimerSuite
from durabletask.testing.conformance.store.versions import VersionSuite

__all__ = ["StoreSuite"]


class StoreSuite(
    ActivityQueueSuite,
    ChildSuite,
    ClaimSuite,
    CommitSuite,
    ContinueAsNewSuite,
    CrashPointSuite,
    CreateSuite,
    EntitySuite,
    HubSuite,
    InboxSuite,
    LaneSuite,
    LimitSuite,
    LoneTurnSuite,
    ParkSuite,
    PurgeSuite,
    QuerySuite,
    RandomHistorySuite,
    ReadSuite,
    ResolveSuite,
    RewindSuite,
    TakeoverSuite,
    TimerSuite,
    VersionSuite,
):
    """Everything that seam 2 promises.

    Subclass it and override ``store_factory``::

        class TestMyStore(StoreSuite):
            @pytest.fixture
            def store_factory(self, tmp_path):
                async def opened():
                    store = MyStore(tmp_path / "hub")
                    await store.open()
                    return store

                return opened
    """
