"""Conformance suites of seam 2, for authors of storage backends.

Subclass :class:`StoreSuite` in a test module of yours and override its fixture
``store_factory``; pytest with pytest-asyncio, in any mode, does the rest.
"""

from durabletask.testing.conformance.store.activities import ActivityQueueSuite
from durabletask.testing.conformance.store.children import ChildSuite
from durabletask.testing.conformance.store.claims import ClaimSuite
from durabletask.testing.conformance.store.commits import CommitSuite
from durabletask.testing.conformance.store.continuing import ContinueAsNewSuite
from durabletask.testing.conformance.store.crashing import CrashPointSuite
from durabletask.testing.conformance.store.creates import CreateSuite
from durabletask.testing.conformance.store.entities import EntitySuite
from durabletask.testing.conformance.store.fixtures import (
    Advance,
    CommitBreaker,
    StoreFactory,
    StoreFixtures,
)
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
from durabletask.testing.conformance.store.suite import StoreSuite
from durabletask.testing.conformance.store.takeovers import TakeoverSuite
from durabletask.testing.conformance.store.timers import TimerSuite
from durabletask.testing.conformance.store.versions import VersionSuite

__all__ = [
    "ActivityQueueSuite",
    "Advance",
    "ChildSuite",
    "ClaimSuite",
    "CommitBreaker",
    "CommitSuite",
    "ContinueAsNewSuite",
    "CrashPointSuite",
    "CreateSuite",
    "EntitySuite",
    "HubSuite",
    "InboxSuite",
    "LaneSuite",
    "LimitSuite",
    "LoneTurnSuite",
    "ParkSuite",
    "PurgeSuite",
    "QuerySuite",
    "RandomHistorySuite",
    "ReadSuite",
    "ResolveSuite",
    "RewindSuite",
    "StoreFactory",
    "StoreFixtures",
    "StoreSuite",
    "TakeoverSuite",
    "TimerSuite",
    "VersionSuite",
]
