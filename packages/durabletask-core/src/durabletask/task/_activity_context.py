"""What an activity is told about its call."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ActivityContext"]


class ActivityContext(ABC):
    """Which call of which orchestration an activity serves."""

    __slots__ = ()

    @property
    @abstractmethod
    def orchestration_id(self) -> str:
        """Id of the orchestration instance that called the activity."""

    @property
    def instance_id(self) -> str:
        """Another spelling of :attr:`orchestration_id`."""
        return self.orchestration_id

    @property
    @abstractmethod
    def task_id(self) -> int:
        """Number of the call within its execution; every retry has the same."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name the activity was called by."""

    @property
    @abstractmethod
    def version(self) -> str | None:
        """Version the call carries, or None."""

    @property
    @abstractmethod
    def tags(self) -> Mapping[str, str]:
        """Tags the call carries; read-only."""

    @property
    @abstractmethod
    def idempotency_key(self) -> str:
        """The same text for every run and every retry of this one call, and for no other call.

        An activity may run more than once: give this key to a service that drops duplicates.
        """
