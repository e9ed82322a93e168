"""What a backend declares about itself."""

from __future__ import annotations

import msgspec

from durabletask.errors import CapabilityError

__all__ = ["Capabilities"]


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend can do; the conformance suite and the client read this, never a name.

    Attributes:
        name: how errors call the backend, e.g. ``"sqlite"``.
        durable: what was acknowledged survives the death of every process.
        shared: several processes can use one task hub at a time.
        history: ``get_history`` works.
        query: ``query_instances`` and purge by filter work.
        reuse_policy: a finished instance can be replaced atomically by a new start.
        rewind, restart: those client calls work.
        entities: entities can be registered with workers, and called, signalled and read.
        parking: an instance can be set aside with a reason instead of failing.
        patches: histories can record that an orchestrator has taken the new path of a patch
            (``ctx.is_patched``). Every store can: the core writes its histories.
        transactional_start: an instance can be started inside a transaction of the caller's.
        max_payload_bytes: largest payload, in bytes of UTF-8 JSON.
    """

    name: str
    durable: bool = True
    shared: bool = True
    history: bool = True
    query: bool = True
    reuse_policy: bool = True
    rewind: bool = False
    restart: bool = False
    entities: bool = False
    parking: bool = True
    patches: bool = True
    transactional_start: bool = False
    max_payload_bytes: int = 16 * 1024 * 1024

    def require(self, capability: str) -> None:
        """Raise CapabilityError unless the boolean field ``capability`` is true."""
        if not getattr(self, capability):
            raise CapabilityError(capability, self.name)
