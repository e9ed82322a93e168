"""Conformance suites of seam 2, for authors of storage backends.

Subclass :class:`StoreSuite` in a test module of yours and override its fixture
``store_factory``; pytest with pytest-asyncio, in any mode, does the rest.
"""

from durabletask.testing.conformance.store.activities import ActivityQueueSuite
from durabletask.testing.conformance.store.claims import ClaimSuite
from durabletask.testing.conformance.store.commits import CommitSuite
from durabletask.testing.conformance.store.creates import CreateSuite
from durabletask.testing.conformance.store.fixtures import (
    Advance,
    CommitBreaker,
    StoreFactory,
    StoreFixtures,
)
from durabletask.testing.conformance.store.inboxes import InboxSuite
from durabletask.testing.conformance.store.lanes import LaneSuite
from durabletask.testing.conformance.store.resolving import ResolveSuite
from durabletask.testing.conformance.store.suite import StoreSuite
from durabletask.testing.conformance.store.takeovers import TakeoverSuite

__all__ = [
    "ActivityQueueSuite",
    "Advance",
    "ClaimSuite",
    "CommitBreaker",
    "CommitSuite",
    "CreateSuite",
    "InboxSuite",
    "LaneSuite",
    "ResolveSuite",
    "StoreFactory",
    "StoreFixtures",
    "StoreSuite",
    "TakeoverSuite",
]
