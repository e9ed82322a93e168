"""Seam 1: the orchestration service that client and worker talk to."""

from durabletask.backend.api import Backend, WorkItemSource
from durabletask.backend.capabilities import Capabilities
from durabletask.backend.request import ReusePolicy, StartRequest
from durabletask.backend.workitem import (
    ActivityResult,
    ActivityWorkItem,
    EntityResult,
    EntityWorkItem,
    OperationResult,
    OrchestrationResult,
    OrchestrationWorkItem,
    WorkerProfile,
    WorkItem,
)

__all__ = [
    "ActivityResult",
    "ActivityWorkItem",
    "Backend",
    "Capabilities",
    "EntityResult",
    "EntityWorkItem",
    "OperationResult",
    "OrchestrationResult",
    "OrchestrationWorkItem",
    "ReusePolicy",
    "StartRequest",
    "WorkItem",
    "WorkItemSource",
    "WorkerProfile",
]
