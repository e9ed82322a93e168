"""The lane of a process that has clients but no worker: it writes, and owns nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.store.lane import Lane
from durabletask.store.record import LaneOptions
from durabletask.store.settlement import answer_clients

if TYPE_CHECKING:
    from durabletask.store.batch import CommitResult
    from durabletask.store.hub import Hub
    from durabletask.store.pending import PendingBatch
    from durabletask.store.record import LaneStanding

__all__ = ["ClientChannel"]


class ClientChannel:
    """Commits what clients ask for. Losing the lane costs nothing: requests go on the next."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        options = LaneOptions(worker="client", lease=hub.options.client_lease)
        self.lane = Lane(hub.store, options, self, hub.chance)

    def turns_ready(self) -> bool:
        return False

    def lane_opened(self, standing: LaneStanding) -> None:
        pass

    def lane_lost(self) -> None:
        pass

    def committed(self, batch: PendingBatch, result: CommitResult) -> None:
        answer_clients(batch, result)
        self._hub.work_written()
