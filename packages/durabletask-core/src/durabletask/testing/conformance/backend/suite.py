"""All suites of seam 1 in one class."""

from __future__ import annotations

from durabletask.testing.conformance.backend.bodies import BodySuite
from durabletask.testing.conformance.backend.composites import CompositeSuite
from durabletask.testing.conformance.backend.continuing import ContinuingSuite
from durabletask.testing.conformance.backend.determinism import DeterminismSuite
from durabletask.testing.conformance.backend.entities import EntitySuite
from durabletask.testing.conformance.backend.events import EventSuite
from durabletask.testing.conformance.backend.failures import FailureSuite
from durabletask.testing.conformance.backend.handing import WorkItemSuite
from durabletask.testing.conformance.backend.locking import LockSuite
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
from durabletask.testing.conformance.backend.suspending import SuspendSuite
from durabletask.testing.conformance.backend.terminating import TerminateSuite
from durabletask.testing.conformance.backend.timers import TimerSuite
from durabletask.testing.conformance.backend.versioning import VersioningSuite
from durabletask.testing.conformance.backend.watching import WatchSuite

__all__ = ["BackendSuite"]


class BackendSuite(
    BodySuite,
    CompositeSuite,
    ContinuingSuite,
    DeterminismSuite,
    EntitySuite,
    EventSuite,
    FailureSuite,
    LockSuite,
    PatchSuite,
    PoisonSuite,
    PurgeSuite,
    ReplaySuite,
    RestartSuite,
    RetrySuite,
    RewindSuite,
    SerializationSuite,
    SharingSuite,
    SizeSuite,
    StartSuite,
    StorageSuite,
    SuspendSuite,
    TerminateSuite,
    TimerSuite,
    VersioningSuite,
    WatchSuite,
    WorkItemSuite,
):
    """Everything that seam 1 promises, through clients, workers and work item sources.

    Subclass it and override ``backend_factory``::

        class TestMyBackend(BackendSuite):
            @pytest.fixture
            def backend_factory(self, tmp_path):
                async def opened():
                    backend = MyBackend(tmp_path / "hub")
                    await backend.open()
                    return backend

                return opened
    """
