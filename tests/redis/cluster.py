"""A private Cluster of three masters, whose slots can be moved."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

import redis
from redis.crc import key_slot
from tests.servers.redis import PATIENCE, RedisServer

if TYPE_CHECKING:
    from pathlib import Path

SLOTS = 16_384


class RedisCluster:
    """Three nodes, each with a third of the slots."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.nodes = [
            RedisServer(
                folder / str(n), cluster_enabled="yes", cluster_node_timeout=2000, **settings
            )
            for n in range(3)
        ]

    @property
    def url(self) -> str:
        """A URL that names one node only: the others are found."""
        return self.nodes[0].url

    def start(self) -> Self:
        """Start the nodes, give them their slots and wait until all agree."""
        for node in self.nodes:
            node.start()
        bounds = [SLOTS * n // 3 for n in range(4)]
        for n, node in enumerate(self.nodes):
            with node.client() as client:
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
                slots = range(bounds[n], bounds[n + 1])
                client.execute_command("CLUSTER", "ADDSLOTS", *slots)
        with self.nodes[0].client() as client:
            for other in self.nodes[1:]:
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", other.port)
        deadline = time.monotonic() + PATIENCE
        while not all(self._is_ready(node) for node in self.nodes):
            assert time.monotonic() < deadline, "the Cluster did not come together"
            time.sleep(0.02)
        return self

    @staticmethod
    def _is_ready(node: RedisServer) -> bool:
        with node.client() as client:
            info = client.execute_command("CLUSTER", "INFO")
            text = info if isinstance(info, str) else str(info)
            return (
                "cluster_state" in text
                and "fail" not in text.split("cluster_slots_pfail")[0].split("cluster_slots_ok")[0]
                and len(client.execute_command("CLUSTER", "SLOTS")) == 3
            )

    def holder(self, tag: str) -> RedisServer:
        """The node that has the slot of a hash tag."""
        slot = key_slot(f"{{{tag}}}".encode())
        for node in self.nodes:
            with node.client() as client:
                try:
                    client.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot)
                    client.exists(f"{{{tag}}}")
                except redis.ResponseError:
                    continue
                return node
        raise AssertionError(f"no node has the slot of {tag!r}")

    def move(self, tag: str, *, pause: float = 0.0) -> None:
        """Move a hash tag's slot to the next node, ``pause`` seconds between two of its keys."""
        slot = key_slot(f"{{{tag}}}".encode())
        source = self.holder(tag)
        target = self.nodes[(self.nodes.index(source) + 1) % 3]
        with source.client() as giver, target.client() as taker:
            giver_id = giver.execute_command("CLUSTER", "MYID").decode()
            taker_id = taker.execute_command("CLUSTER", "MYID").decode()
            taker.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", giver_id)
            giver.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", taker_id)
            while keys := giver.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 10):
                for key in keys:
                    giver.execute_command("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)
                    time.sleep(pause)
            for node in (target, source, *self.nodes):
                with node.client() as client:
                    client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", taker_id)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            node.kill()
