"""What went wrong with the server, in words that tell what to do. No secrets in them."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from redis.exceptions import (
    AuthenticationError,
    InvalidResponse,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from durabletask.errors import BackendUnavailableError

if TYPE_CHECKING:
    from durabletask.redis.address import Address

__all__ = ["COMMANDS", "LinkLostError", "acl_rules", "trouble"]

COMMANDS = (
    "eval evalsha script|load info time exists del unlink get set incr "
    "hset hget hmget hdel hsetnx hexists hincrby hkeys hvals hgetall "
    "rpush lrange llen sadd srem smembers srandmember "
    "zadd zrem zscore zmscore zcount zcard zlexcount zrange zrangebyscore zrangebylex "
    "publish subscribe wait client|setname config|get cluster|slots"
).split()
"""Every command that the store sends, in a script or outside."""


def acl_rules(prefix: str) -> str:
    """The rules of a user who can use one hub, and nothing else."""
    commands = " ".join(f"+{command}" for command in COMMANDS)
    return f"resetkeys ~{prefix}* resetchannels &{prefix}* -@all {commands}"


class LinkLostError(Exception):
    """A connection broke while an answer was awaited.

    Attributes:
        sent: the server may have got the request.
    """

    def __init__(self, reason: str, *, sent: bool) -> None:
        self.sent = sent
        super().__init__(reason)


_SAYINGS = (
    (
        ("used memory > 'maxmemory'",),
        "its memory limit (maxmemory) is reached: raise the limit or purge finished instances; "
        "work goes on by itself then",
    ),
    (
        ("READONLY", "ReadOnlyError"),
        "it is a read-only replica: connect to the server that takes writes, or use "
        "redis+sentinel:// so that it is found after a failover",
    ),
    (
        ("LOADING", "BusyLoadingError"),
        "it is still loading its data set: it can be used in a moment",
    ),
    (("BUSY ",), "it is busy with somebody else's script"),
    (("MISCONF",), "it cannot write to its disk: see its log, and whether the disk is full"),
    (
        ("NOREPLICAS",),
        "it has too few good replicas (min-replicas-to-write): see to the replicas",
    ),
    (("MASTERDOWN", "MasterDownError"), "it is a replica without its master"),
    (
        ("CLUSTERDOWN", "ClusterDownError"),
        "its Cluster is down: see `redis-cli --cluster check`",
    ),
    (
        ("AskError", "TryAgainError"),
        "its Cluster is moving the hub to another node: that takes a moment",
    ),
    (
        ("DB index is out of range",),
        "it has no database of that number: correct the URL",
    ),
    (("unknown command",), "it lacks a command: Redis 6.2 or newer is needed"),
    (("max number of clients",), "it takes no more connections (maxclients)"),
)
"""What the server says, or how the driver calls that, and what it means."""


def trouble(error: BaseException, address: Address, prefix: str) -> BackendUnavailableError:
    """The error of a store that cannot use its server now."""
    return BackendUnavailableError(
        f"the Redis server at {address.text} cannot be used: "
        f"{_reason(error, prefix, secure=address.text.startswith('rediss'))}"
    )


def _reason(error: BaseException, prefix: str, *, secure: bool) -> str:
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, AuthenticationError):
        return "it refuses the user name or the password, or wants one: correct them in the URL"
    if isinstance(error, NoPermissionError) or "NOPERM" in text or "can't run this" in text:
        return (
            "its user lacks a permission that the task hub needs: give the user these ACL rules: "
            + acl_rules(prefix)
        )
    for sayings, meaning in _SAYINGS:
        if any(saying in text for saying in sayings):
            return meaning
    if isinstance(error, InvalidResponse):
        return "what answers there does not speak the Redis protocol: correct host and port"
    if "CERTIFICATE_VERIFY_FAILED" in text or isinstance(error, ssl.SSLError) or "SSL" in text:
        return (
            f"TLS failed ({text}): name the authority that signed its certificate with tls_ca=, or "
            "use redis:// if the server speaks no TLS"
        )
    if isinstance(error, ResponseError):
        return f"it answered {error}"
    if isinstance(error, (RedisError, OSError, LinkLostError)):
        speaks = ", speaks TLS" if secure else ""
        reason = str(error) or type(error).__name__
        return f"{reason}; see that it runs{speaks} and can be reached from here"
    return text
