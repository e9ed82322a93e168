"""The rpcs of clients that concern one instance."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import msgspec
from google.protobuf.empty_pb2 import Empty

from durabletask.errors import InstanceNotFoundError
from durabletask.grpc.convert import Start, optional_text, read_start, read_text, state_message
from durabletask.grpc.extensions import BATCHES, CAPABILITIES, FLUSH, PARKED, tell_capabilities
from durabletask.grpc.protocol import pb
from durabletask.state import FINISHED

if TYPE_CHECKING:
    from durabletask.backend import Backend
    from durabletask.grpc.sidecar.calls import Call, Unary
    from durabletask.state import OrchestrationState

__all__ = ["INSTANCE_CALLS", "start"]

_APPEARANCE = 0.25
"""Seconds between two looks for an awaited instance that does not exist yet."""

_REPLACEMENT = 60.0
"""Seconds until a replaced instance has to be terminated."""


async def _hello(call: Call, request: Empty) -> Empty:
    if FLUSH in call.metadata:
        await call.hub.desk.flush()
    told = tell_capabilities(call.hub.backend.capabilities)
    await call.context.send_initial_metadata(((CAPABILITIES, told), (BATCHES, "1")))
    return Empty()


async def start(call: Call, request: pb.CreateInstanceRequest) -> pb.CreateInstanceResponse:
    """Start an instance, after the end of the one it replaces."""
    wanted = read_start(request)
    if wanted.replaced_alive:
        await _end_former(call.hub.backend, wanted)
    if request.HasField("parentTraceContext"):
        # Noted first: the first turn may be on its way before the start is acknowledged.
        chosen = wanted.request.instance_id or uuid.uuid4().hex
        call.hub.desk.traces.started(chosen, request.parentTraceContext)
        wanted = Start(
            msgspec.structs.replace(wanted.request, instance_id=chosen), wanted.replaced_alive
        )
    instance_id = await call.hub.backend.create_instance(wanted.request)
    return pb.CreateInstanceResponse(instanceId=instance_id)


async def _end_former(backend: Backend, start: Start) -> None:
    """Terminate the instance that has the id, if its status is one of those to be replaced."""
    instance_id = start.request.instance_id
    if instance_id is None:
        return
    former = await backend.get_instance(instance_id, fetch_payloads=False)
    if former is not None and former.runtime_status in start.replaced_alive:
        await backend.terminate_instance(instance_id, None, recursive=False)
        await backend.wait_for_completion(instance_id, _REPLACEMENT)


def _answer(
    call: Call, request: pb.GetInstanceRequest, state: OrchestrationState | None
) -> pb.GetInstanceResponse:
    if state is None:
        return pb.GetInstanceResponse(exists=False)
    if state.parked_reason is not None and call.is_strict:
        call.context.set_trailing_metadata(((PARKED, state.parked_reason.encode()),))
    message = state_message(state, payloads=request.getInputsAndOutputs)
    return pb.GetInstanceResponse(exists=True, orchestrationState=message)


async def _get(call: Call, request: pb.GetInstanceRequest) -> pb.GetInstanceResponse:
    return _answer(call, request, await call.hub.backend.get_instance(request.instanceId))


def _waiting(*, for_completion: bool) -> Unary:
    """The two calls that wait, for as long as the caller does.

    An instance that does not exist yet may appear, except to callers who want to know.
    """

    async def wait(call: Call, request: pb.GetInstanceRequest) -> pb.GetInstanceResponse:
        backend = call.hub.backend
        wait_for = backend.wait_for_completion if for_completion else backend.wait_for_start
        while True:
            try:
                return _answer(call, request, await wait_for(request.instanceId, None))
            except InstanceNotFoundError:
                if call.is_strict:
                    raise
            await asyncio.sleep(_APPEARANCE)

    return wait


async def _raise_event(call: Call, request: pb.RaiseEventRequest) -> pb.RaiseEventResponse:
    data = optional_text(request, "input")
    await call.hub.backend.raise_event(request.instanceId, request.name, data)
    return pb.RaiseEventResponse()


async def _terminate(call: Call, request: pb.TerminateRequest) -> pb.TerminateResponse:
    try:
        await call.hub.backend.terminate_instance(
            request.instanceId, read_text(request, "output"), recursive=request.recursive
        )
    except InstanceNotFoundError:
        if call.is_strict:
            raise
    return pb.TerminateResponse()


async def _suspend(call: Call, request: pb.SuspendRequest) -> pb.SuspendResponse:
    await call.hub.backend.suspend_instance(request.instanceId, read_text(request, "reason"))
    return pb.SuspendResponse()


async def _resume(call: Call, request: pb.ResumeRequest) -> pb.ResumeResponse:
    await call.hub.backend.resume_instance(request.instanceId, read_text(request, "reason"))
    return pb.ResumeResponse()


async def _skip_terminations(
    call: Call, request: pb.SkipGracefulOrchestrationTerminationsRequest
) -> pb.SkipGracefulOrchestrationTerminationsResponse:
    """Terminate each of a batch; what cannot be is named in the answer."""
    backend, unterminated = call.hub.backend, []
    for instance_id in request.instanceBatch.instanceIds:
        state = await backend.get_instance(instance_id, fetch_payloads=False)
        if state is None or state.runtime_status in FINISHED:
            unterminated.append(instance_id)
        else:
            output = read_text(request, "reason")
            await backend.terminate_instance(instance_id, output, recursive=False)
    return pb.SkipGracefulOrchestrationTerminationsResponse(unterminatedInstanceIds=unterminated)


async def _restart(call: Call, request: pb.RestartInstanceRequest) -> pb.RestartInstanceResponse:
    call.hub.backend.capabilities.require("restart")
    instance_id = await call.hub.backend.restart_instance(
        request.instanceId, new_id=request.restartWithNewInstanceId
    )
    return pb.RestartInstanceResponse(instanceId=instance_id)


async def _rewind(call: Call, request: pb.RewindInstanceRequest) -> pb.RewindInstanceResponse:
    """The backend rewrites the history itself, so workers get a plain turn afterwards."""
    call.hub.backend.capabilities.require("rewind")
    await call.hub.backend.rewind_instance(request.instanceId, read_text(request, "reason"))
    return pb.RewindInstanceResponse()


def _unimplemented(what: str) -> Unary:
    async def refuse(call: Call, request: object) -> object:
        raise NotImplementedError(f"this sidecar cannot {what}")

    return refuse


async def _create_hub(call: Call, request: pb.CreateTaskHubRequest) -> pb.CreateTaskHubResponse:
    """The hub was opened on the way here, and thereby made."""
    if request.recreateIfExists:
        raise NotImplementedError("this sidecar cannot recreate a task hub: purge its instances")
    return pb.CreateTaskHubResponse()


INSTANCE_CALLS: dict[str, Unary] = {
    "Hello": _hello,
    "StartInstance": start,
    "GetInstance": _get,
    "WaitForInstanceStart": _waiting(for_completion=False),
    "WaitForInstanceCompletion": _waiting(for_completion=True),
    "RaiseEvent": _raise_event,
    "TerminateInstance": _terminate,
    "SuspendInstance": _suspend,
    "ResumeInstance": _resume,
    "SkipGracefulOrchestrationTerminations": _skip_terminations,
    "RewindInstance": _rewind,
    "RestartInstance": _restart,
    "CreateTaskHub": _create_hub,
    "DeleteTaskHub": _unimplemented("delete task hubs: purge their instances"),
}
"""Every rpc about one instance, about hubs, and those that are not served."""
