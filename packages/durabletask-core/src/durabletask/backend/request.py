"""What a client asks of a backend when it starts an instance."""

from __future__ import annotations

import msgspec

from durabletask.state import OrchestrationStatus

__all__ = ["ReusePolicy", "StartRequest"]


class ReusePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What to do when an instance id is taken. The default refuses every duplicate.

    Attributes:
        replace: finished statuses that may be replaced atomically by the new instance.
        ignore: return the id and leave the existing instance as it is, whatever its status.
            ``replace`` is looked at first.
    """

    replace: frozenset[OrchestrationStatus] = frozenset()
    ignore: bool = False


class StartRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new instance.

    Attributes:
        name: orchestration name.
        instance_id: None lets the backend choose one.
        input: JSON text or None.
        start_at: microseconds since the epoch; the instance stays PENDING until then.
    """

    name: str
    instance_id: str | None = None
    input: str | None = None
    version: str | None = None
    tags: dict[str, str] | None = None
    start_at: int | None = None
    reuse: ReusePolicy = ReusePolicy()
