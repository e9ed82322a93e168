"""Entities as clients of other languages see them."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import pytest
from tests.integration.grpc.entities.asking import (
    done,
    entity,
    names,
    settle,
    signal,
)
from tests.integration.grpc.peer import PATIENCE, Connect, Peer

from durabletask.grpc.protocol import pb
from durabletask.testing.conformance.backend.driver import eventually


@pytest.mark.asyncio
async def test_what_clients_see(connect: Connect) -> None:
    """**entity-state** Entities by id and page by page, by prefixes of any kind."""
    peer = connect()
    await peer.listen()
    ids = ["@cart@a", "@cart@ab", "@cart@b", "@carton@a", "@shelf@a"]
    for entity_id in ids:
        await signal(peer, "add", entity_id)
        await settle(peer, await peer.item(), done(), state=f'"{entity_id}"')
    for entity_id in ids:
        await eventually(partial(exists, peer, entity_id), f"{entity_id} is there")
    bare = await entity(peer, "@cart@a", include_state=False)
    assert not bare.HasField("serializedState")
    for prefix, found in (
        (None, ids),
        ("@", ids),
        ("@cart", ids[:4]),
        ("cart", ids[:4]),
        ("@Cart@", ids[:3]),
        ("@cart@a", ids[:2]),
        ("@nothing", []),
    ):
        assert await queried(peer, prefix) == found, prefix


async def exists(peer: Peer, entity_id: str) -> bool:
    """Whether there is such an entity."""
    return await entity(peer, entity_id) is not None


async def queried(peer: Peer, prefix: str | None) -> list[str]:
    """The ids that a query finds, in pages of two."""
    found: list[str] = []
    token = ""
    while True:
        query = pb.EntityQuery(includeState=True, continuationToken={"value": token})
        query.pageSize.value = 2
        if prefix is not None:
            query.instanceIdStartsWith.value = prefix
        answer = await peer.call("QueryEntities", pb.QueryEntitiesRequest(query=query))
        assert all(f'"{e.instanceId}"' == e.serializedState.value for e in answer.entities)
        found += [e.instanceId for e in answer.entities]
        token = answer.continuationToken.value
        if not token:
            return found


@pytest.mark.asyncio
async def test_large_states_make_small_pages(connect: Connect) -> None:
    """**query** A message holds 4 MiB unless its receiver has said otherwise."""
    peer = connect()
    await peer.listen()
    text = '"' + "x" * 900_000 + '"'
    for number in range(8):
        await signal(peer, "add", f"@large@{number}")
        await settle(peer, await peer.item(), done(), state=text)
    async with asyncio.timeout(PATIENCE):
        while True:
            found: list[str] = []
            token = ""
            while True:
                query = pb.EntityQuery(includeState=True, continuationToken={"value": token})
                answer = await peer.call("QueryEntities", pb.QueryEntitiesRequest(query=query))
                assert answer.ByteSize() < 4 * 1024 * 1024
                found += [e.instanceId for e in answer.entities]
                token = answer.continuationToken.value
                if not token:
                    break
            if len(found) == 8:
                return


@pytest.mark.asyncio
async def test_a_signal_for_later(connect: Connect) -> None:
    """**timer-time** It comes when it is due; the epoch is no time."""
    peer = connect()
    await peer.listen()
    await signal(peer, "now", scheduledTime={"seconds": 0})
    assert names(await peer.item()) == ["now"]
    due = time.time() + 0.5
    at = {"seconds": int(due), "nanos": int(due % 1 * 1e9)}
    await signal(peer, "later", "@cart@other", scheduledTime=at)
    assert names(await peer.item()) == ["later"]
    assert time.time() >= due - 0.001


@pytest.mark.asyncio
async def test_cleaning(connect: Connect) -> None:
    """**entity-state** Counts what is removed; locks are never orphaned."""
    peer = connect()
    await peer.listen()
    await signal(peer, "look")
    await settle(peer, await peer.item(), done())
    peer.lose()

    removed = 0

    async def is_removed() -> bool:
        nonlocal removed
        request = pb.CleanEntityStorageRequest(removeEmptyEntities=True, releaseOrphanedLocks=True)
        answer = await peer.call("CleanEntityStorage", request)
        assert (answer.orphanedLocksReleased, answer.continuationToken.value) == (0, "")
        removed += answer.emptyEntitiesRemoved
        return removed == 1

    await eventually(is_removed, "it is removed")
