"""What a server says about itself, and whether a hub can be entrusted to it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec
from redis.exceptions import ResponseError

from durabletask.errors import BackendUnavailableError

if TYPE_CHECKING:
    from durabletask.redis.link import Link
    from durabletask.redis.options import RedisOptions

__all__ = ["ServerFacts", "check_server", "facts_of"]

_log = logging.getLogger("durabletask.redis")

OLDEST = (6, 2)
"""The first version with ZMSCORE."""


class ServerFacts(msgspec.Struct, frozen=True):
    """Facts about one server; None where it does not tell.

    Attributes:
        version: of Redis, or of the Redis that another server claims to be like.
        mode: "standalone", "cluster" or "sentinel".
        role: "master" or "slave".
        replicas: connected ones.
        eviction: ``maxmemory-policy``.
        append_only: whether an append-only file is kept.
        fsync: ``appendfsync``.
    """

    version: str | None
    mode: str | None
    role: str | None
    replicas: int
    eviction: str | None
    append_only: bool | None
    fsync: str | None

    @property
    def number(self) -> tuple[int, ...]:
        """The version's first two numbers; those of the oldest that will do if it is not told."""
        if self.version is None:
            return OLDEST
        return tuple(int(part) for part in self.version.split(".")[:2] if part.isdecimal())


async def facts_of(link: Link) -> ServerFacts:
    """Ask a server. What it forbids to ask is left None."""
    try:
        found = _fields((await link.call("INFO")).decode(errors="replace"))
    except ResponseError:
        found = {}
    try:
        answer = await link.call("CONFIG", "GET", "appendfsync")
        fsync = answer[1].decode() if len(answer) == 2 else None
    except ResponseError:
        fsync = None
    append_only = found.get("aof_enabled")
    return ServerFacts(
        version=found.get("redis_version"),
        mode=found.get("redis_mode"),
        role=found.get("role"),
        replicas=int(found.get("connected_slaves", "0")),
        eviction=found.get("maxmemory_policy"),
        append_only=None if append_only is None else append_only == "1",
        fsync=fsync,
    )


def _fields(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {name: value for name, colon, value in pairs if colon}


def check_server(facts: ServerFacts, options: RedisOptions, place: str) -> None:
    """Refuse a server that would lose data behind our back, or cannot hold any.

    Raises:
        BackendUnavailableError: with the setting to change.
    """
    reason = _refusal(facts, options)
    if reason is not None:
        raise BackendUnavailableError(f"the Redis server at {place} cannot hold a hub: {reason}")
    _warn(facts, options, place)


def _refusal(facts: ServerFacts, options: RedisOptions) -> str | None:
    if facts.mode == "sentinel":
        return (
            "it is a Sentinel, which only knows where the server is: write "
            "redis+sentinel://host:port/service"
        )
    if facts.number < OLDEST:
        return f"it is of version {facts.version}, and 6.2 is the oldest that will do"
    if facts.role == "slave" and facts.mode != "cluster":
        return (
            "it is a read-only replica: connect to the server that takes writes, or use "
            "redis+sentinel:// so that it is found after a failover"
        )
    if facts.eviction not in (None, "noeviction"):
        return (
            f"its maxmemory-policy is {facts.eviction}, so it would drop keys of running "
            "orchestrations when its memory is full: set maxmemory-policy noeviction"
        )
    if facts.append_only is False and options.durability != "none":
        return (
            "it keeps no append-only file, so its restart would lose everything: set appendonly "
            "yes and appendfsync always, or choose durability=none if that is what you want"
        )
    if options.durability == "replicated" and facts.replicas < options.replicas:
        return (
            f"durability=replicated wants {options.replicas} replicas and it has "
            f"{facts.replicas}: connect more, or choose another durability"
        )
    return None


def _warn(facts: ServerFacts, options: RedisOptions, place: str) -> None:
    if options.durability == "none":
        return
    if facts.eviction is None or facts.append_only is None:
        _log.warning(
            "the Redis server at %s does not let its user ask for INFO: that its maxmemory-policy "
            "is noeviction and that it keeps an append-only file is taken on trust",
            place,
        )
    if options.durability == "relaxed":
        return
    if facts.fsync is None:
        _log.warning(
            "the Redis server at %s does not let its user ask for CONFIG: whether appendfsync is "
            "always, and so whether what was acknowledged survives a crash, is taken on trust",
            place,
        )
    elif facts.fsync != "always":
        _log.warning(
            "the Redis server at %s has appendfsync %s: a crash of its machine may undo the last "
            "seconds, acknowledged as they are; set appendfsync always, or choose "
            "durability=relaxed to say that this is wanted",
            place,
            facts.fsync,
        )
