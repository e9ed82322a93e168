"""Where the work items of one task hub are handed out to streams and taken back."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from typing import TYPE_CHECKING

from durabletask.backend import ActivityWorkItem, EntityWorkItem, OrchestrationWorkItem
from durabletask.engine import result_of_termination
from durabletask.grpc.sidecar.delivery import Delivery
from durabletask.grpc.sidecar.traces import Traces

if TYPE_CHECKING:
    from durabletask.backend import Capabilities, WorkItem
    from durabletask.grpc.sidecar.options import SidecarOptions
    from durabletask.grpc.sidecar.stream import WorkStream

__all__ = ["Desk"]

_log = logging.getLogger("durabletask.grpc.sidecar")


class Desk:
    """Hands out what the sources of the streams bring, and knows what is out.

    Each stream has a source of its own, so limits, ownership and sharing are the backend's. An
    item goes to the stream whose source brought it, unless that worker does not take it (another
    version) or has given it back: then to another that takes it. Outcomes always go to the source
    the item came from.

    Everything happens on the event loop and without awaiting between reading and changing the
    tables, so each completion token is taken once: a second completion, or one that comes after
    its item was given to somebody else, finds nothing and changes nothing.

    Attributes:
        traces: the trace contexts of the hub.
        largest_payload: bytes that the backend takes.
        has_entities: whether the backend has entities.
    """

    def __init__(self, options: SidecarOptions, capabilities: Capabilities) -> None:
        self.traces = Traces()
        self.largest_payload = capabilities.max_payload_bytes
        self.has_entities = capabilities.entities
        self._options = options
        self._streams: list[WorkStream] = []
        self._out: dict[str, Delivery] = {}
        self._turns: dict[str, Delivery] = {}
        self._homeless: list[Delivery] = []
        self._refusals: dict[tuple[str, int], set[WorkStream]] = {}
        self._strikes: dict[str, int] = {}
        # Tokens of a sidecar that ran before this one must not mean anything here.
        self._prefix = os.urandom(8).hex()
        self._numbers = itertools.count(1)
        self._feeds: dict[WorkStream, asyncio.Task[None]] = {}
        self._endings: set[asyncio.Task[None]] = set()

    @property
    def ping_interval(self) -> float:
        """Seconds of silence after which a stream gets a health ping."""
        return self._options.ping_interval

    # --- streams -------------------------------------------------------------------------------

    def join(self, stream: WorkStream) -> None:
        """A worker's stream begins."""
        self._streams.append(stream)
        self._feeds[stream] = asyncio.get_running_loop().create_task(
            self._feed(stream), name="durabletask-sidecar-feed"
        )
        homeless, self._homeless = self._homeless, []
        for delivery in homeless:
            self._place(delivery)

    async def _feed(self, stream: WorkStream) -> None:
        """Pass on what the stream's source brings, until the source is drained."""
        try:
            while items := await stream.source.receive():
                for item in items:
                    self._arrived(item, stream)
        except Exception:
            _log.exception("a source of work items broke; its worker is told to connect again")
            stream.end()

    def leave(self, stream: WorkStream) -> None:
        """A stream has ended or was lost: its turns, of entities too, go to others at once.

        Its activities may still be completed for a while by a worker that only lost its
        connection; then they go to others too. While the desk closes there is nowhere to come
        back to, so nothing of a lost stream is waited for.
        """
        closing = stream not in self._streams
        if not closing:
            self._streams.remove(stream)
            self._give_up(stream)
        for delivery in [*self._out.values()]:
            if delivery.stream is not stream:
                continue
            if not isinstance(delivery.item, ActivityWorkItem):
                self._forget(delivery)
                self._strike(delivery, delivery.item)
            elif closing or delivery.owner is not stream:
                self._forget(delivery)
                delivery.source.abandon(delivery.item)
        if closing:
            return
        for refused in self._refusals.values():
            refused.discard(stream)
        lingering = any(delivery.owner is stream for delivery in self._out.values())
        # With nothing out that may still come back, all that takes time is the last commit: an
        # instance may be set aside in it, and that must not be lost because the store is slow.
        timeout = self._options.linger if lingering else self._options.drain_timeout
        task = asyncio.get_running_loop().create_task(
            self._drain(stream, timeout), name="durabletask-sidecar-drain"
        )
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    def _strike(self, delivery: Delivery, item: OrchestrationWorkItem | EntityWorkItem) -> None:
        """**failure-poison** A turn was out on a stream that was lost: perhaps it killed it."""
        strikes = self._strikes.pop(item.instance_id, 0) + 1
        if strikes < self._options.poison_after:
            self._strikes[item.instance_id] = strikes
            delivery.source.abandon(item)
            return
        delivery.source.park(
            item,
            f"poisoned: {strikes} workers were lost while they ran a turn of it and none finished "
            "it; find out what kills the process, then release it with resume_orchestration",
        )

    async def _drain(self, stream: WorkStream, timeout: float) -> None:
        try:
            await stream.source.drain(timeout)
        finally:
            await asyncio.gather(self._feeds.pop(stream), return_exceptions=True)
            for delivery in [*self._out.values()]:
                if delivery.owner is stream:
                    self._forget(delivery)

    async def flush(self) -> None:
        """Wait until everything that workers have handed back is durable."""
        await asyncio.gather(*(stream.source.flush() for stream in self._streams))

    async def close(self) -> None:
        """Wait for what is out, within the limit, then end every stream."""
        streams, self._streams = self._streams, []
        for stream in streams:
            self._give_up(stream)
        timeout = self._options.drain_timeout
        await asyncio.gather(*(self._drain(stream, timeout) for stream in streams))
        for stream in streams:
            stream.end()
        await asyncio.gather(*self._endings, return_exceptions=True)

    # --- handing out ---------------------------------------------------------------------------

    def _arrived(self, item: WorkItem, stream: WorkStream) -> None:
        if stream not in self._streams:  # it has left meanwhile, and its source is being drained
            stream.source.abandon(item)
            return
        if isinstance(item, OrchestrationWorkItem):
            terminated = result_of_termination(item.events)
            if terminated is not None:  # no user code runs, so no worker is needed
                stream.source.complete_orchestration(item, terminated)
                return
        self._place(Delivery(item, stream))

    def _place(self, delivery: Delivery) -> None:
        owner = delivery.owner
        refused = self._refusals.get(delivery.key, ()) if self._refusals else ()
        if owner not in refused and owner.takes(delivery):
            owner.put(delivery)
            return
        takers = [stream for stream in self._streams if stream.takes(delivery)]
        # What belongs to a stream that ends waits for it to leave: the backend has it then.
        if takers and owner.is_open:
            min(takers, key=lambda stream: (stream in refused, stream.load)).put(delivery)
        else:
            self._homeless.append(delivery)

    def sent(self, delivery: Delivery) -> str:
        """Note that an item is being sent; returns its completion token."""
        delivery.token = f"{self._prefix}.{next(self._numbers):x}"
        self._out[delivery.token] = delivery
        if isinstance(delivery.item, OrchestrationWorkItem):
            self._turns[delivery.item.instance_id] = delivery
        return delivery.token

    def turn_out(self, instance_id: str, execution_id: str) -> Delivery | None:
        """The turn of an execution that is out, if one is; an empty id is any execution's."""
        delivery = self._turns.get(instance_id)
        if delivery is None or execution_id not in ("", delivery.item.execution_id):
            return None
        return delivery

    def drop(self, delivery: Delivery) -> None:
        """An item was lost before it could be sent."""
        if delivery.stream is not None:
            delivery.stream.came_back(delivery)
        delivery.source.abandon(delivery.item)

    # --- taking back ---------------------------------------------------------------------------

    def find(self, token: str) -> Delivery | None:
        """The item that is out under this token."""
        return self._out.get(token)

    def take(self, token: str) -> Delivery | None:
        """The item that was out under this token, which is used up by this."""
        delivery = self._out.get(token)
        if delivery is None:
            return None
        self._forget(delivery)
        if self._refusals:
            self._refusals.pop(delivery.key, None)
        if self._strikes and not isinstance(delivery.item, ActivityWorkItem):
            self._strikes.pop(delivery.item.instance_id, None)
        return delivery

    def abandon(self, token: str, delay: float, *, draining: bool) -> None:
        """An item comes back unprocessed and is offered to others first."""
        delivery = self._out.get(token)
        if delivery is None:
            return
        stream = delivery.stream
        self._forget(delivery)
        if stream is not None:
            self._refusals.setdefault(delivery.key, set()).add(stream)
            if draining:
                self._recall(stream)
        delivery.source.abandon(delivery.item, delay)

    def send_again(self, delivery: Delivery) -> None:
        """The worker wants the same item once more, or what is left of it: with all it needs."""
        stream = delivery.stream
        self._forget(delivery)
        delivery.with_history = True
        if stream is not None and stream.is_open:
            stream.put(delivery)
        else:
            delivery.source.abandon(delivery.item)

    def _forget(self, delivery: Delivery) -> None:
        if self._out.pop(delivery.token, None) is None:
            return
        if self._turns.get(delivery.item.instance_id) is delivery:
            del self._turns[delivery.item.instance_id]
        if delivery.stream is not None:
            delivery.stream.came_back(delivery)

    def _give_up(self, stream: WorkStream) -> None:
        """What has not been sent of a stream that has left goes back to where it came from."""
        self._recall(stream)
        for delivery in self._homeless:
            if delivery.owner is stream:
                delivery.source.abandon(delivery.item)
        self._homeless = [one for one in self._homeless if one.owner is not stream]

    def _recall(self, stream: WorkStream) -> None:
        """Send no more on a stream; what waited for it goes back to where it came from."""
        for delivery in stream.close():
            delivery.source.abandon(delivery.item)
