"""The engine: pure replay of orchestrators. No I/O, no clock, no chance of its own."""

from durabletask.engine.activity import (
    RuntimeActivityContext,
    activity_arguments,
    activity_failed,
    activity_succeeded,
    run_activity,
)
from durabletask.engine.clock import from_micros, to_micros
from durabletask.engine.failure import failure_of
from durabletask.engine.registry import ActivityRegistration, OrchestrationRegistration, Registry
from durabletask.engine.rewind import RewoundHistory, rewound
from durabletask.engine.session import OrchestrationSession
from durabletask.engine.termination import result_of_termination

__all__ = [
    "ActivityRegistration",
    "OrchestrationRegistration",
    "OrchestrationSession",
    "Registry",
    "RewoundHistory",
    "RuntimeActivityContext",
    "activity_arguments",
    "activity_failed",
    "activity_succeeded",
    "failure_of",
    "from_micros",
    "result_of_termination",
    "rewound",
    "run_activity",
    "to_micros",
]
