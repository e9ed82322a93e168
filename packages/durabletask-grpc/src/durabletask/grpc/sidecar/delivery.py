"""A work item on its way to a worker and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.backend import ActivityWorkItem, EntityResult, EntityWorkItem
from durabletask.grpc.convert import Requests, remaining

if TYPE_CHECKING:
    from durabletask.backend import WorkItem, WorkItemSource
    from durabletask.grpc.protocol import pb
    from durabletask.grpc.sidecar.stream import WorkStream

__all__ = ["Delivery"]


class Delivery:
    """One handing out of one item.

    Attributes:
        owner: the stream whose source the item came from and goes back to.
        stream: the stream it was sent on, or waits for.
        token: its completion token once it was sent.
        with_history: the worker asked for the item again with its history.
        actions: those of a response that comes in chunks, so far.
        requests: what the execution has asked entities for, if its history was sent along.
        done: the operations of an entity that have been run, if that is not all.
    """

    __slots__ = (
        "actions",
        "done",
        "item",
        "owner",
        "requests",
        "stream",
        "token",
        "with_history",
    )

    def __init__(self, item: WorkItem, owner: WorkStream) -> None:
        self.item = item
        self.owner = owner
        self.stream: WorkStream | None = None
        self.token = ""
        self.with_history = False
        self.actions: list[pb.OrchestratorAction] = []
        self.requests = Requests()
        self.done: EntityResult | None = None

    @property
    def source(self) -> WorkItemSource:
        """Where the outcome goes, whichever stream the item was sent on."""
        return self.owner.source

    @property
    def key(self) -> tuple[str, int]:
        """The same for every handing out of the same piece of work."""
        item = self.item
        if isinstance(item, ActivityWorkItem):
            return item.execution_id, item.task_id
        return item.instance_id, 0

    @property
    def rest(self) -> EntityWorkItem:
        """Of an entity's operations, those that have not been run."""
        item, done = self.item, self.done
        assert isinstance(item, EntityWorkItem)
        return item if done is None else remaining(item, len(done.results), done.state)
