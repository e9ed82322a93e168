"""A worker and client that speaks the protocol by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc

from durabletask.grpc.protocol import METHODS, pb

__all__ = ["PATIENCE", "Connect", "Peer", "calling", "end", "kinds"]

PATIENCE = 20.0
COMPLETED = pb.ORCHESTRATION_STATUS_COMPLETED

Connect = Callable[..., "Peer"]


class Peer:
    """A worker and client that speaks the protocol by hand."""

    def __init__(self, port: int) -> None:
        self._channel = grpc.aio.insecure_channel(
            f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]
        )
        self._stream: Any = None

    def _method(self, name: str) -> Any:
        method = METHODS[name]
        kind = self._channel.unary_stream if method.streams else self._channel.unary_unary
        return kind(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )

    async def call(self, name: str, request: Any, **metadata: str) -> Any:
        """Make a unary call."""
        return await self._method(name)(
            request, timeout=PATIENCE, metadata=tuple(metadata.items()) or None
        )

    async def history(self, request: pb.StreamInstanceHistoryRequest) -> list[pb.HistoryChunk]:
        """The chunks of a history."""
        return [chunk async for chunk in self._method("StreamInstanceHistory")(request)]

    async def listen(self, metadata: Any = None, **request: Any) -> None:
        """Ask for work items."""
        self._stream = self._method("GetWorkItems")(
            pb.GetWorkItemsRequest(**request), metadata=metadata
        )
        await self._stream.initial_metadata()

    async def item(self) -> pb.WorkItem:
        """The next work item."""
        item: pb.WorkItem = await asyncio.wait_for(self._stream.read(), PATIENCE)
        assert item is not grpc.aio.EOF, "the stream has ended"
        return item

    async def rests(self) -> bool:
        """Whether nothing comes for a while."""
        reading = asyncio.ensure_future(self._stream.read())
        done, _ = await asyncio.wait([reading], timeout=0.3)
        if not done:
            reading.cancel()
        return not done

    async def start(self, name: str = "o", **fields: Any) -> str:
        """Start an instance."""
        request = pb.CreateInstanceRequest(name=name, **fields)
        return str((await self.call("StartInstance", request)).instanceId)

    async def answer(self, item: pb.WorkItem, *actions: pb.OrchestratorAction, **more: Any) -> None:
        """Complete a turn."""
        response = pb.OrchestratorResponse(
            instanceId=item.orchestratorRequest.instanceId,
            completionToken=item.completionToken,
            actions=actions,
            **more,
        )
        await self.call("CompleteOrchestratorTask", response)

    async def result(self, item: pb.WorkItem, text: str) -> None:
        """Complete an activity."""
        response = pb.ActivityResponse(completionToken=item.completionToken)
        response.result.value = text
        await self.call("CompleteActivityTask", response)

    async def ended(self, instance_id: str) -> pb.OrchestrationState:
        """The state of an instance that has finished."""
        request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
        answer = await self.call("WaitForInstanceCompletion", request)
        state: pb.OrchestrationState = answer.orchestrationState
        return state

    def lose(self) -> None:
        """The stream breaks."""
        self._stream.cancel()

    async def close(self) -> None:
        """Everything breaks."""
        await self._channel.close()


def end(text: str = "1") -> pb.OrchestratorAction:
    """The action that completes an instance."""
    complete = pb.CompleteOrchestrationAction(orchestrationStatus=COMPLETED)
    complete.result.value = text
    return pb.OrchestratorAction(id=-1, completeOrchestration=complete)


def calling(number: int, name: str = "a") -> pb.OrchestratorAction:
    """The action that schedules an activity."""
    return pb.OrchestratorAction(id=number, scheduleTask=pb.ScheduleTaskAction(name=name))


def kinds(events: Any) -> list[str]:
    """What happened."""
    return [event.WhichOneof("eventType") for event in events]
