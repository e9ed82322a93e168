"""What our sidecar and our backend tell each other beyond the protocol, in call metadata.

Servers and SDKs of others ignore metadata they do not know, so messages and rpcs stay exactly
those of the protocol, and everything here is optional to both sides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from durabletask.backend import Capabilities
from durabletask.errors import InvalidRequestError
from durabletask.versions import VersionRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from durabletask.state import OrchestrationQuery

__all__ = [
    "BATCHES",
    "CAPABILITIES",
    "CODE",
    "CONTINUES",
    "DELAY",
    "DRAINING",
    "FLUSH",
    "FORMER",
    "GRACE",
    "NAME",
    "PARKED",
    "PARK_REASON",
    "PATCH",
    "QUERY",
    "REQUESTS",
    "SEQUENCE",
    "STRICT",
    "TAGS",
    "TASK_HUB",
    "USER_AGENT",
    "VERSION",
    "VERSIONS",
    "WORKER_ID",
    "capabilities_told",
    "flatten",
    "tell_capabilities",
    "tell_query",
    "tell_versions",
    "versions_told",
]

TASK_HUB = "taskhub"
USER_AGENT = "x-user-agent"
WORKER_ID = "workerid"

STRICT = "x-durabletask-strict"
"""Request: a missing instance is NOT_FOUND for every call, also where the protocol is lenient."""

QUERY = "x-durabletask-query-bin"
"""Request: the whole query as JSON, with the fields that the protocol lacks."""

CODE = "x-durabletask-code"
"""GetWorkItems: fingerprint of the worker's code, which releases what other code was parked for."""

GRACE = "x-durabletask-unregistered-grace"
"""GetWorkItems: seconds after which work fails whose name no worker knows."""

VERSIONS = "x-durabletask-versions-bin"
"""GetWorkItems: the worker's rule of versions as JSON. What it rejects is left to other workers."""

DELAY = "x-durabletask-delay"
"""Abandon: seconds until the item may come again."""

DRAINING = "x-durabletask-draining"
"""Abandon: the stream that brought the item wants no more."""

FLUSH = "x-durabletask-flush"
"""Hello: answer when all that workers have handed back by now is durable."""

PARK_REASON = "x-durabletask-park-bin"
"""Abandon: set the instance aside, for this reason."""

TAGS = "x-durabletask-tags-bin"
"""CompleteEntityTask: tags of the orchestrations that an entity starts, as JSON, by the number of
the action."""

CAPABILITIES = "x-durabletask-capabilities"
"""Hello, answer: what the backend behind the sidecar can do, as JSON."""

BATCHES = "x-durabletask-batches"
"""Hello, answer: the server offers the service of ``protos/batches.proto``."""

PARKED = "x-durabletask-parked-bin"
"""Answers with one state: why the instance is set aside."""

CONTINUES = "durabletask.continues"
"""Property of an orchestrator request: the worker made the turn before, and it is committed."""

FORMER = "durabletask.former"
"""Tag of an ``executionRewound`` event: the execution that goes on. Its id is what the body lives
by, also after a server has put another one into ``executionStarted``."""

PATCH = "@durabletask.patch"
"""Receiver of an event that stands for a patch of that name, in actions and in histories: the
protocol has no word for one. No instance can have this id.

For servers that say that they can do ``patches`` only. Others take it for what it looks like. Most
would record it and drop it; but whether they do, and whether they take a second action of the id
-1, is theirs to say, and a mark that is lost sends an orchestration down both paths of a patch."""

REQUESTS = "durabletask.requests"
"""Property of an orchestrator request: numbers of what entities were asked for, by the texts that
others have chosen and the new events say, because history may be left out."""

SEQUENCE = "durabletask.sequence"
NAME = "durabletask.name"
VERSION = "durabletask.version"
"""Properties of an orchestrator request: turns committed before, and what the first of them says,
because history may be left out."""

_query_encoder = msgspec.json.Encoder()
_decode_rule = msgspec.json.Decoder(VersionRule).decode


def tell_capabilities(capabilities: Capabilities) -> str:
    """The capabilities of a backend as the value of ``CAPABILITIES``."""
    return msgspec.json.encode(capabilities).decode("ascii")


def capabilities_told(text: str | None, name: str) -> Capabilities:
    """What a server says it can do; one that says nothing can do what the protocol promises.

    Args:
        name: how errors call the backend.

    Raises:
        ValueError: it cannot be read.
    """
    if text is None:
        return Capabilities(
            name=name, rewind=True, restart=True, parking=False, entities=True, patches=False
        )
    try:
        told = msgspec.json.decode(text, type=dict[str, Any])
        known = {field: told[field] for field in Capabilities.__struct_fields__ if field in told}
        return msgspec.convert({"patches": False} | known | {"name": name}, Capabilities)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"the capabilities cannot be read: {error}") from None


def tell_query(query: OrchestrationQuery) -> bytes:
    """A query as the value of ``QUERY``."""
    return _query_encoder.encode(query)


def tell_versions(rule: VersionRule) -> bytes:
    """A rule as the value of ``VERSIONS``."""
    return msgspec.json.encode(rule)


def versions_told(value: str | bytes | None) -> VersionRule | None:
    """The rule that a worker has told, if it has.

    Raises:
        InvalidRequestError: it cannot be read.
    """
    if value is None:
        return None
    try:
        return _decode_rule(value)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidRequestError(f"the rule in {VERSIONS} cannot be read: {error}") from None


def flatten(metadata: Iterable[tuple[str, str | bytes]] | None) -> Mapping[str, str | bytes]:
    """Metadata as a mapping; of a key that comes twice the last counts."""
    return dict(metadata or ())
