"""Trace contexts on their way through the sidecar.

Backends have no place for them, so they are kept here while the sidecar runs: from the call that
brings one to the work items that pass it on. Telemetry may lose one when a sidecar restarts; work
never depends on them.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from durabletask.grpc.protocol import pb

__all__ = ["Traces"]

_INSTANCES = 10_000
"""Instances whose contexts are kept; those heard of least recently go first."""


class _Trace:
    __slots__ = ("activities", "orchestration", "parent")

    def __init__(self) -> None:
        self.parent: pb.TraceContext | None = None
        self.orchestration: pb.OrchestrationTraceContext | None = None
        self.activities: dict[int, pb.TraceContext] = {}


class Traces:
    """The trace contexts of the instances of one task hub, as far as any were brought."""

    def __init__(self) -> None:
        self._instances: OrderedDict[str, _Trace] = OrderedDict()

    def started(self, instance_id: str, parent: pb.TraceContext) -> None:
        """A client has started an instance within a trace."""
        self._trace(instance_id).parent = parent

    def answered(
        self,
        instance_id: str,
        context: pb.OrchestrationTraceContext | None,
        actions: Iterable[pb.OrchestratorAction],
    ) -> None:
        """A worker has answered a turn: its own context, and those of what it schedules."""
        if context is not None:
            self._trace(instance_id).orchestration = context
        for action in actions:
            if action.scheduleTask.HasField("parentTraceContext"):
                activities = self._trace(instance_id).activities
                activities[action.id] = action.scheduleTask.parentTraceContext
            elif action.createSubOrchestration.HasField("parentTraceContext"):
                child = action.createSubOrchestration
                self.started(child.instanceId, child.parentTraceContext)

    def put_in_turn(self, request: pb.OrchestratorRequest) -> None:
        """Pass on what is known to the turn of an instance."""
        trace = self._instances.get(request.instanceId)
        if trace is None:
            return
        if trace.orchestration is not None:
            request.orchestrationTraceContext.CopyFrom(trace.orchestration)
        for event in (*request.pastEvents, *request.newEvents):
            if event.HasField("executionStarted"):
                if trace.parent is not None:
                    event.executionStarted.parentTraceContext.CopyFrom(trace.parent)
                break

    def put_in_activity(self, request: pb.ActivityRequest) -> None:
        """Pass on what is known to an activity."""
        trace = self._instances.get(request.orchestrationInstance.instanceId)
        context = None if trace is None else trace.activities.get(request.taskId)
        if context is not None:
            request.parentTraceContext.CopyFrom(context)

    def completed(self, instance_id: str, task_id: int) -> None:
        """An activity has an outcome."""
        trace = self._instances.get(instance_id)
        if trace is not None:
            trace.activities.pop(task_id, None)

    def ended(self, instance_id: str) -> None:
        """An instance has ended."""
        self._instances.pop(instance_id, None)

    def __len__(self) -> int:
        return len(self._instances)

    def _trace(self, instance_id: str) -> _Trace:
        trace = self._instances.get(instance_id)
        if trace is None:
            trace = self._instances[instance_id] = _Trace()
            if len(self._instances) > _INSTANCES:
                self._instances.popitem(last=False)
        else:
            self._instances.move_to_end(instance_id)
        return trace
