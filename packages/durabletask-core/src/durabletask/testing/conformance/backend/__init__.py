"""Conformance suites of seam 1, for authors of backends.

Subclass :class:`BackendSuite` in a test module of yours and override its fixture
``backend_factory``; pytest with pytest-asyncio, in any mode, does the rest.
"""

from durabletask.testing.conformance.backend.bodies import BodySuite
from durabletask.testing.conformance.backend.composites import CompositeSuite
from durabletask.testing.conformance.backend.continuing import ContinuingSuite
from durabletask.testing.conformance.backend.determinism import DeterminismSuite
from durabletask.testing.conformance.backend.entities import EntitySuite
from durabletask.testing.conformance.backend.events import EventSuite
from durabletask.testing.conformance.backend.failures import FailureSuite
from durabletask.testing.conformance.backend.fixtures import BackendFactory, BackendFixtures
from durabletask.testing.conformance.backend.handing import WorkItemSuite
from durabletask.testing.conformance.backend.locking import LockSuite
from durabletask.testing.conformance.backend.outage import (
    LEASE,
    FragileFactory,
    FragileStore,
    Outage,
)
from durabletask.testing.conformance.backend.patches import PatchSuite
from durabletask.testing.conformance.backend.poisoning import PoisonSuite
from durabletask.testing.conformance.backend.purging import PurgeSuite
from durabletask.testing.conformance.backend.replay import ReplaySuite
from durabletask.testing.conformance.backend.restarting import RestartSuite
from durabletask.testing.conformance.backend.retries import RetrySuite
from durabletask.testing.conformance.backend.rewinding import RewindSuite
from durabletask.testing.conformance.backend.serializing import SerializationSuite
from durabletask.testing.conformance.backend.sharing import SharingSuite
from durabletask.testing.conformance.backend.sizing import SizeSuite
from durabletask.testing.conformance.backend.starting import StartSuite
from durabletask.testing.conformance.backend.storing import StorageSuite
from durabletask.testing.conformance.backend.suite import BackendSuite
from durabletask.testing.conformance.backend.suspending import SuspendSuite
from durabletask.testing.conformance.backend.terminating import TerminateSuite
from durabletask.testing.conformance.backend.timers import TimerSuite
from durabletask.testing.conformance.backend.versioning import VersioningSuite
from durabletask.testing.conformance.backend.watching import WatchSuite

__all__ = [
    "LEASE",
    "BackendFactory",
    "BackendFixtures",
    "BackendSuite",
    "BodySuite",
    "CompositeSuite",
    "ContinuingSuite",
    "DeterminismSuite",
    "EntitySuite",
    "EventSuite",
    "FailureSuite",
    "FragileFactory",
    "FragileStore",
    "LockSuite",
    "Outage",
    "PatchSuite",
    "PoisonSuite",
    "PurgeSuite",
    "ReplaySuite",
    "RestartSuite",
    "RetrySuite",
    "RewindSuite",
    "SerializationSuite",
    "SharingSuite",
    "SizeSuite",
    "StartSuite",
    "StorageSuite",
    "SuspendSuite",
    "TerminateSuite",
    "TimerSuite",
    "VersioningSuite",
    "WatchSuite",
    "WorkItemSuite",
]
