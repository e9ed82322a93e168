"""For tests of orchestrations: a virtual clock, mocked activities, replay of saved histories.

Needs no test framework. The suites for authors of backends are in
:mod:`durabletask.testing.conformance`.
"""

from durabletask.testing.activities import ActivityMock
from durabletask.testing.harness import OrchestrationTester
from durabletask.testing.replay import Replayer, ReplayReport, replay_history
from durabletask.testing.saved import load_history, save_history

__all__ = [
    "ActivityMock",
    "OrchestrationTester",
    "ReplayReport",
    "Replayer",
    "load_history",
    "replay_history",
    "save_history",
]
