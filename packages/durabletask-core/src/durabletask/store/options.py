"""Settings of the machinery that all storage backends share."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["StoreOptions"]


@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    """How a storage backend keeps its leases and looks for work. Times are in seconds.

    Attributes:
        lease: a worker that is silent for so long may be replaced by another.
        poll_interval: the longest time between two looks for work; hints make them earlier.
        local_backlog: activities a worker keeps to itself while others are about, but never more
            than it can run at one time; what exceeds it goes to the shared queue.
        idle_release: an idle instance is given up after so long if other workers are about.
        client_lease: as ``lease``, for a process that only starts and signals instances.
        probation_after: worker deaths after which a busy instance is suspected.
        probation_delay: a suspect is run only when no worker has died for so long.
        poison_after: worker deaths after which a suspect is set aside (rule *failure-poison*).
    """

    lease: float = 15.0
    poll_interval: float = 1.0
    local_backlog: int = 1000
    idle_release: float = 30.0
    client_lease: float = 3600.0
    probation_after: int = 2
    probation_delay: float = 5.0
    poison_after: int = 5
