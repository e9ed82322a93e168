"""The work item source over the wire: one stream of items, kept up for as long as it is wanted."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError

from durabletask.actions import CompleteOrchestration
from durabletask.backend import (
    ActivityWorkItem,
    EntityWorkItem,
    OrchestrationResult,
    OrchestrationWorkItem,
    WorkItem,
    WorkItemSource,
)
from durabletask.engine import failure_of
from durabletask.errors import BackendUnavailableError, InvalidRequestError
from durabletask.grpc.client.backoff import pause
from durabletask.grpc.client.batching import Batcher
from durabletask.grpc.client.entities import (
    operations_item,
    outcome_message,
    refused_outcome,
    tags_told,
)
from durabletask.grpc.client.faults import error_of, intact, reading
from durabletask.grpc.client.locks import with_unlocks
from durabletask.grpc.client.outbox import Outbox
from durabletask.grpc.client.profile import stream_metadata, stream_request
from durabletask.grpc.client.rewinding import rewind_response
from durabletask.grpc.client.turns import (
    activity_item,
    failed_turn,
    responses,
    turn_item,
    turns_in,
)
from durabletask.grpc.convert import Requests, failure_message, read_events, text_value
from durabletask.grpc.extensions import (
    DELAY,
    DRAINING,
    FLUSH,
    PARK_REASON,
)
from durabletask.grpc.protocol import pb
from durabletask.grpc.protocol.batches_pb2 import Packed, WorkItems
from durabletask.state import OrchestrationStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from durabletask.backend import ActivityResult, EntityResult, WorkerProfile
    from durabletask.grpc.client.connection import Connection, Metadata
    from durabletask.grpc.client.options import GrpcOptions
    from durabletask.history import HistoryEvent

__all__ = ["GrpcWorkItemSource"]

_log = logging.getLogger("durabletask.grpc.client")

_RENEW_AFTER = 5
"""Failures in a row after which a new channel is tried."""

_ADMISSION = 1.0
"""Seconds until a stream that has not been refused counts as accepted: not every server says so."""

_PARK_DELAY = 30.0
"""Seconds until a set-aside turn is tried again where the server cannot set instances aside."""


class GrpcWorkItemSource(WorkItemSource):
    """Reads work items from a sidecar and sends outcomes back.

    Single-threaded on the event loop. ``_out`` holds every item between its arrival and its
    hand-over; whichever method takes an item out of it decides about it, so each is handed over
    once, however late its worker is.

    Args:
        can_park: the server sets instances aside.
        in_batches: it takes and gives many items at a time.
        must_unlock: it keeps the locks of an execution that ends until it is told otherwise.
    """

    def __init__(
        self,
        connection: Connection,
        profile: WorkerProfile,
        options: GrpcOptions,
        *,
        can_park: bool,
        in_batches: bool,
        must_unlock: bool,
    ) -> None:
        self._connection = connection
        self._options = options
        self._can_park = can_park
        self._must_unlock = must_unlock
        self._request = stream_request(profile)
        self._extra = stream_metadata(profile)
        self._outbox = Outbox(connection)
        self._batcher = Batcher(connection) if in_batches else None
        self._arrived: list[WorkItem] = []
        self._out: dict[_Key, WorkItem] = {}
        self._arrival: asyncio.Future[None] | None = None
        self._emptied: asyncio.Future[None] | None = None
        self._draining = False
        self._last_heard = 0.0
        self._reader: asyncio.Task[None] | None = None
        self._fetches: set[asyncio.Task[None]] = set()

    # --- the stream ----------------------------------------------------------------------------

    async def open(self) -> None:
        """Begin to read; returns when the server has accepted the stream.

        Raises:
            BackendUnavailableError: it has not.
        """
        loop = asyncio.get_running_loop()
        accepted: asyncio.Future[None] = loop.create_future()
        self._reader = loop.create_task(self._read(accepted), name="durabletask-grpc-reader")
        done, _ = await asyncio.wait([accepted], timeout=_ADMISSION)
        if done and accepted.exception() is not None:
            await self._end_reader()
            accepted.result()

    async def _read(self, accepted: asyncio.Future[None]) -> None:
        """Read one stream after the other, until the source is drained."""
        failures = 0
        while not self._draining:
            try:
                heard = await self._read_stream(accepted)
                failures = 0 if heard else failures + 1
            except grpc.aio.AioRpcError as error:
                failures += 1
                if not accepted.done():
                    accepted.set_exception(error_of(error, self._connection.target))
                    return
                _log.log(
                    logging.WARNING if failures == 1 else logging.DEBUG,
                    "the stream of work items broke and is opened again: %s",
                    error.details(),
                )
            except Exception as error:
                failures += 1
                if not accepted.done():
                    accepted.set_exception(error)
                    return
                _log.warning("the stream of work items cannot be opened now", exc_info=True)
            if failures and failures % _RENEW_AFTER == 0:
                self._connection.renew()
            await asyncio.sleep(pause(failures))

    async def _read_stream(self, accepted: asyncio.Future[None]) -> bool:
        """Read one stream to its end; whether anything came."""
        call = await self._begin_stream()
        self._last_heard = time.monotonic()
        heard = False
        watchdog = asyncio.get_running_loop().create_task(self._watch(call))
        try:
            await call.initial_metadata()
            if not accepted.done():
                accepted.set_result(None)
            async for message in call:
                heard = True
                self._last_heard = time.monotonic()
                self._take(message)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # else the watchdog, or a channel that was replaced, has ended the call
        finally:
            watchdog.cancel()
            call.cancel()
        return heard

    async def _begin_stream(self) -> Any:
        if self._batcher is None:
            return await self._connection.stream(
                "GetWorkItems", self._request, extra=self._extra, worker=True
            )
        packed = Packed(message=self._request.SerializeToString())
        return await self._connection.stream(
            "GetWorkItemBatches", packed, extra=self._extra, worker=True
        )

    async def _watch(self, call: Any) -> None:
        """Give up a stream that has been silent for too long; servers ping well before."""
        limit = self._options.silence
        while True:
            rest = self._last_heard + limit - time.monotonic()
            if rest <= 0:
                break
            await asyncio.sleep(rest)
        _log.warning("the stream of work items was silent for %g s and is opened again", limit)
        call.cancel()

    def _take(self, message: pb.WorkItem | WorkItems | None) -> None:
        if isinstance(message, WorkItems):
            for packed in message.items:
                try:
                    item = pb.WorkItem.FromString(packed)
                except DecodeError:
                    item = None
                self._take(item)
            return
        if message is None:  # it has no token under which it could be given back
            _log.error("%s sends a work item that cannot be read", self._connection.target)
            return
        try:
            self._read_item(message)
        except Exception:
            # It must not end the stream, which brings the work of everybody else too.
            _log.exception("a work item cannot be read and is given back")
            kind = _KINDS[message.WhichOneof("request") or "orchestratorRequest"]
            self._send_abandon(kind, message.completionToken, _UNREADABLE)

    def _read_item(self, message: pb.WorkItem) -> None:
        kind = message.WhichOneof("request")
        if kind == "activityRequest":
            self._put(activity_item(message.activityRequest, message.completionToken))
        elif kind == "orchestratorRequest":
            request = message.orchestratorRequest
            if request.requiresHistoryStreaming and not request.properties:
                self._fetch(request, message.completionToken)
            else:
                self._take_turn(request, message.completionToken)
        elif kind in ("entityRequest", "entityRequestV2"):
            self._put(operations_item(message))

    def _take_turn(
        self,
        request: pb.OrchestratorRequest,
        completion: str,
        fetched: list[HistoryEvent] | None = None,
    ) -> None:
        """Hand a turn out, or answer it here if it only asks for a rewritten history."""
        if any(event.HasField("executionRewound") for event in request.newEvents):
            known = Requests(only_known=True)
            past = read_events(request.pastEvents, known) if fetched is None else fetched
            response = rewind_response(request, completion, past)
            if response is not None:
                self._send_outcomes("turns", [response])
                return
        self._put(turn_item(request, completion, fetched))

    def _put(self, item: WorkItem) -> None:
        self._out[_key(item)] = item
        if self._draining:
            self._abandon(item, 0.0)
            return
        self._arrived.append(item)
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def _fetch(self, request: pb.OrchestratorRequest, completion: str) -> None:
        """Ask for the history of a turn before it is handed out: nothing tells where it stands."""

        async def fetch() -> None:
            try:
                history = await self._stream_history(request.instanceId, request.executionId.value)
                with reading(self._connection.target):
                    self._take_turn(request, completion, history)
            except grpc.aio.AioRpcError as error:
                _log.warning("a history cannot be fetched now: %s", error.details())
                self._send_abandon(OrchestrationWorkItem, completion, _RETRY)
                return
            except BackendUnavailableError as error:
                _log.error("a work item is given back: %s", error)
                self._send_abandon(OrchestrationWorkItem, completion, _UNREADABLE)
                return

        task = asyncio.get_running_loop().create_task(fetch())
        self._fetches.add(task)
        task.add_done_callback(self._fetches.discard)

    async def _stream_history(self, instance_id: str, execution_id: str) -> list[HistoryEvent]:
        request = pb.StreamInstanceHistoryRequest(
            instanceId=instance_id,
            executionId=text_value(execution_id or None),
            forWorkItemProcessing=True,
        )
        call = await self._connection.stream("StreamInstanceHistory", request, worker=True)
        events: list[HistoryEvent] = []
        requests = Requests(only_known=True)
        target = self._connection.target
        async for chunk in call:
            with reading(target):
                events += read_events(intact(chunk, target).events, requests)
        return events

    # --- seam 1: hand out ----------------------------------------------------------------------

    async def receive(self) -> list[WorkItem]:
        while not self._draining:
            if self._arrived:
                items, self._arrived = self._arrived, []
                return items
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        return []

    async def load_history(
        self, items: Sequence[OrchestrationWorkItem]
    ) -> list[list[HistoryEvent]]:
        try:
            return await asyncio.gather(*map(self._history_of, items))
        except grpc.aio.AioRpcError as error:
            raise error_of(error, self._connection.target) from None

    async def _history_of(self, item: OrchestrationWorkItem) -> list[HistoryEvent]:
        if _key(item) not in self._out:
            return []  # handed over already, or given up
        past: list[HistoryEvent] | None = item.token.past
        if past is not None:
            return past
        history = await self._stream_history(item.instance_id, item.execution_id)
        # Another number of turns is the history of somebody else's turn: this one was lost.
        return history if turns_in(history) == item.sequence else []

    # --- seam 1: take back ---------------------------------------------------------------------

    def _handed_over(self, item: WorkItem) -> bool:
        """Whether it is for this call to decide about the item."""
        if self._out.pop(_key(item), None) is None:
            return False
        if self._emptied is not None and not self._out and not self._emptied.done():
            self._emptied.set_result(None)
        return True

    def complete_orchestration(
        self, item: OrchestrationWorkItem, result: OrchestrationResult
    ) -> None:
        if not self._handed_over(item):
            return

        def refused(reason: str) -> None:
            failure = failure_of(InvalidRequestError(f"the sidecar refuses this turn: {reason}"))
            end = CompleteOrchestration(OrchestrationStatus.FAILED, failure=failure)
            failed = self._with_unlocks(item, OrchestrationResult([end]))
            self._send_outcomes("turns", [failed_turn(item, failed)])

        answer = responses(item, self._with_unlocks(item, result))
        self._send_outcomes("turns", answer, refused)

    def _with_unlocks(
        self, item: OrchestrationWorkItem, result: OrchestrationResult
    ) -> OrchestrationResult:
        return with_unlocks(item, result) if self._must_unlock else result

    def complete_entity(self, item: EntityWorkItem, result: EntityResult) -> None:
        if not self._handed_over(item):
            return

        def refused(reason: str) -> None:
            self._send_outcomes("entities", [refused_outcome(item, reason)])

        message, tags = outcome_message(item, result), tags_told(result)
        if tags:  # they go beside the message, and so by a call of its own
            self._outbox.send(_COMPLETE["entities"], [message], extra=tags, refused=refused)
        else:
            self._send_outcomes("entities", [message], refused)

    def complete_activity(self, item: ActivityWorkItem, result: ActivityResult) -> None:
        if not self._handed_over(item):
            return
        response = pb.ActivityResponse(
            instanceId=item.instance_id,
            taskId=item.task_id,
            completionToken=item.token.completion,
            result=text_value(result.result),
        )
        if result.failure is not None:
            response.failureDetails.CopyFrom(failure_message(result.failure))

        def refused(reason: str) -> None:
            error = InvalidRequestError(f"the sidecar refuses the outcome: {reason}")
            failure = failure_message(failure_of(error, non_retriable=True))
            response.ClearField("result")
            response.failureDetails.CopyFrom(failure)
            self._send_outcomes("activities", [response])

        self._send_outcomes("activities", [response], refused)

    def _send_outcomes(
        self, field: str, messages: Sequence[Any], refused: Callable[[str], None] | None = None
    ) -> None:
        if self._batcher is not None:
            self._batcher.put(field, messages, refused)
        else:
            self._outbox.send(_COMPLETE[field], messages, refused=refused)

    def abandon(self, item: WorkItem, delay: float = 0.0) -> None:
        self._abandon(item, delay)

    def _abandon(self, item: WorkItem, delay: float) -> None:
        if not self._handed_over(item):
            return
        self._send_abandon(type(item), item.token.completion, delay)

    def _send_abandon(self, kind: type[WorkItem], completion: str, delay: float) -> None:
        extra: tuple[tuple[str, str | bytes], ...] = ((DELAY, f"{delay:g}"),)
        if self._draining:
            extra += ((DRAINING, "1"),)
        self._give_back(kind, completion, extra)

    def _give_back(self, kind: type[WorkItem], completion: str, extra: Metadata) -> None:
        name, request = _ABANDON[kind]
        self._outbox.send(name, [request(completionToken=completion)], extra=extra)

    def park(self, item: OrchestrationWorkItem | EntityWorkItem, reason: str) -> None:
        if not self._can_park:
            _log.error("%r cannot go on: %s", item.instance_id, reason)
            self._abandon(item, _PARK_DELAY)
        elif self._handed_over(item):
            extra = ((PARK_REASON, reason.encode()[:_LONGEST_REASON]),)
            self._give_back(type(item), item.token.completion, extra)

    # --- the end -------------------------------------------------------------------------------

    async def drain(self, timeout: float) -> None:
        if self._draining:
            return
        self._draining = True
        deadline = time.monotonic() + timeout
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
        arrived, self._arrived = self._arrived, []
        for item in arrived:
            self._abandon(item, 0.0)
        if self._out and timeout > 0:
            self._emptied = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._emptied], timeout=timeout)
        for item in [*self._out.values()]:
            self._abandon(item, 0.0)
        if not await self._flush(deadline):
            _log.warning("the sidecar did not take the last hand-overs within the limit")
        await self._end_reader()
        await self._outbox.close()
        if self._batcher is not None:
            await self._batcher.close()

    async def _flush(self, deadline: float) -> bool:
        flushed = await self._outbox.flush(max(_LAST_WORDS, deadline - time.monotonic()))
        if self._batcher is not None:
            flushed &= await self._batcher.flush(max(_LAST_WORDS, deadline - time.monotonic()))
        # Delivered is not yet durable. Servers of others answer at once.
        try:
            await self._connection.call(
                "Hello",
                Empty(),
                timeout=max(_LAST_WORDS, deadline - time.monotonic()),
                extra=((FLUSH, "1"),),
                worker=True,
                wait_for_ready=False,
            )
        except Exception as error:  # then it is as after any loss: others do what is not durable
            _log.debug("the sidecar does not say that all is durable: %s", error)
        return flushed

    async def _end_reader(self) -> None:
        tasks = [*self._fetches, *([self._reader] if self._reader is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


_Key = tuple[str, str, int]

_RETRY = 1.0
_UNREADABLE = 30.0
"""Seconds until an item that cannot be read may come again, perhaps to a newer worker."""

_LAST_WORDS = 0.25
"""Seconds that the last hand-overs get at least."""

_LONGEST_REASON = 8 * 1024

_COMPLETE = {
    "turns": "CompleteOrchestratorTask",
    "activities": "CompleteActivityTask",
    "entities": "CompleteEntityTask",
}

_ABANDON: dict[type[WorkItem], tuple[str, Any]] = {
    OrchestrationWorkItem: ("AbandonTaskOrchestratorWorkItem", pb.AbandonOrchestrationTaskRequest),
    ActivityWorkItem: ("AbandonTaskActivityWorkItem", pb.AbandonActivityTaskRequest),
    EntityWorkItem: ("AbandonTaskEntityWorkItem", pb.AbandonEntityTaskRequest),
}

_KINDS: dict[str, type[WorkItem]] = {
    "orchestratorRequest": OrchestrationWorkItem,
    "activityRequest": ActivityWorkItem,
    "entityRequest": EntityWorkItem,
    "entityRequestV2": EntityWorkItem,
    "healthPing": OrchestrationWorkItem,
}


def _key(item: WorkItem) -> _Key:
    """What tells an item from the others that are out.

    The completion token alone does not: some servers give one to all activities of a turn.
    """
    number = item.task_id if isinstance(item, ActivityWorkItem) else 0
    return item.token.completion, item.instance_id, number
