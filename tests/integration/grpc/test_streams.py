"""The stream of work items as a worker of another language sees it: bare messages, no SDK."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.empty_pb2 import Empty
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tests.integration.grpc.peer import PATIENCE, Connect, Peer, calling, end, kinds

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.grpc import GrpcBackend, GrpcOptions, Sidecar, SidecarOptions, Target
from durabletask.grpc.extensions import VERSIONS, tell_versions
from durabletask.grpc.protocol import SERVICE, pb
from durabletask.state import OrchestrationStatus
from durabletask.versions import VersionRule
from durabletask.worker import TaskHubWorker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def options() -> SidecarOptions:
    """Of the sidecar."""
    return SidecarOptions(linger=0.3, drain_timeout=5.0)


@pytest_asyncio.fixture
async def sidecar(options: SidecarOptions, tmp_path: Path) -> AsyncIterator[Sidecar]:
    """A sidecar on an empty file."""
    place = f"sqlite:///{tmp_path / 'hub.db'}?synchronous=normal"
    async with Sidecar(place, port=0, options=options) as running:
        yield running


@pytest.mark.asyncio
async def test_a_life(connect: Connect) -> None:
    """**turn-atomic** What a worker without limits, capabilities and filters is sent."""
    peer = connect()
    await peer.call("Hello", Empty())
    await peer.listen()
    instance_id = await peer.start(tags={"k": "v"})
    first = await peer.item()
    request = first.orchestratorRequest
    assert request.instanceId == instance_id
    assert len(request.executionId.value) == 32
    assert not request.pastEvents
    assert kinds(request.newEvents) == ["orchestratorStarted", "executionStarted"]
    started = request.newEvents[1].executionStarted
    assert started.orchestrationInstance.executionId == request.executionId
    assert dict(started.tags) == {"k": "v"}
    await peer.answer(first, calling(1))
    activity = await peer.item()
    assert (activity.activityRequest.taskId, activity.activityRequest.name) == (1, "a")
    assert activity.activityRequest.orchestrationInstance.instanceId == instance_id
    await peer.result(activity, "7")
    second = (await peer.item()).orchestratorRequest
    assert kinds(second.pastEvents) == [
        "orchestratorStarted",
        "executionStarted",
        "taskScheduled",
    ]
    assert kinds(second.newEvents) == ["orchestratorStarted", "taskCompleted"]
    assert not second.requiresHistoryStreaming


@pytest.mark.asyncio
async def test_limits_count_what_is_out(connect: Connect) -> None:
    """**activity-once** A limit counts items sent and not yet completed or abandoned."""
    peer = connect()
    await peer.listen(maxConcurrentActivityWorkItems=2)
    await peer.start()
    await peer.answer(await peer.item(), *(calling(number) for number in range(1, 5)))
    first, second = await peer.item(), await peer.item()
    assert first.HasField("activityRequest")
    assert second.HasField("activityRequest")
    following = asyncio.ensure_future(peer.item())
    done, _ = await asyncio.wait([following], timeout=0.3)
    assert not done
    await peer.result(first, "1")
    kind = (await following).WhichOneof("request")
    third = await peer.item() if kind == "orchestratorRequest" else await following
    assert third.HasField("activityRequest")


@pytest.mark.asyncio
async def test_filters(connect: Connect) -> None:
    """Only listed names; a category without entries means nothing of that kind."""
    only = connect()
    await only.listen(
        workItemFilters=pb.WorkItemFilters(activities=[pb.ActivityFilter(name="wanted")])
    )
    everything = connect()
    await everything.start()
    assert await only.rests()
    await everything.listen()
    await everything.answer(await everything.item(), calling(1, "wanted"), calling(2, "other"))
    names = [(await everything.item()).activityRequest.name]
    assert names in (["wanted"], ["other"])


@pytest.mark.asyncio
async def test_versions_find_their_worker(connect: Connect) -> None:
    """**version-match** Each instance goes to the worker whose filter has its version."""
    workers = {version: connect() for version in ("1", "2")}
    for version, peer in workers.items():
        filter = pb.OrchestrationFilter(name="o", versions=[version])
        await peer.listen(workItemFilters=pb.WorkItemFilters(orchestrations=[filter]))
    for version in ("1", "2", "2", "1"):
        request = pb.CreateInstanceRequest(name="o")
        request.version.value = version
        started = await workers["1"].call("StartInstance", request)
        item = await workers[version].item()
        assert item.orchestratorRequest.instanceId == started.instanceId
        await workers[version].answer(item, end())
        await workers[version].ended(started.instanceId)


@pytest.mark.asyncio
@pytest.mark.parametrize("told", ["by its filter", "by a rule"])
async def test_other_versions_are_left_to_workers_elsewhere(
    connect: Connect, tmp_path: Path, told: str
) -> None:
    """**version-match** The sidecar does not keep what none of its workers takes to itself."""

    @task.orchestration
    def o(ctx: task.OrchestrationContext) -> Any:
        return ctx.version
        yield

    peer = connect()
    if told == "by a rule":
        rule = VersionRule(version="1.9", match="current_or_older")
        await peer.listen(metadata=((VERSIONS, tell_versions(rule)),))
    else:
        filter = pb.OrchestrationFilter(name="o", versions=["1.9.0"])
        await peer.listen(workItemFilters=pb.WorkItemFilters(orchestrations=[filter]))
    starts = []
    for version in ("1.10", "1.9", "1.10"):
        request = pb.CreateInstanceRequest(name="o")
        request.version.value = version
        starts.append((await peer.call("StartInstance", request)).instanceId)
    item = await peer.item()
    assert item.orchestratorRequest.instanceId == starts[1]
    await peer.answer(item, end())
    assert await peer.rests()
    async with TaskHubWorker(f"sqlite:///{tmp_path / 'hub.db'}?synchronous=normal") as worker:
        worker.add_orchestration(o)
        await worker.start()
        for instance_id in (starts[0], starts[2]):
            state = await peer.ended(instance_id)
            assert state.output.value == '"1.10"'


@pytest.mark.asyncio
async def test_what_is_abandoned_goes_to_another(connect: Connect) -> None:
    """**failure-infra** The same events come again, and another worker gets them first."""
    first, second = connect(), connect()
    await first.listen()
    instance_id = await first.start()
    refused = await first.item()
    await second.listen()
    await first.call(
        "AbandonTaskOrchestratorWorkItem",
        pb.AbandonOrchestrationTaskRequest(completionToken=refused.completionToken),
    )
    again = await second.item()
    assert again.completionToken != refused.completionToken
    assert kinds(again.orchestratorRequest.newEvents) == kinds(
        refused.orchestratorRequest.newEvents
    )
    await first.answer(refused, end("too late"))
    await second.answer(again, end("2"))
    assert (await second.ended(instance_id)).output.value == "2"


@pytest.mark.asyncio
async def test_a_lost_stream_loses_nothing(connect: Connect) -> None:
    """**failure-infra** Turns come again at once; old tokens change nothing."""
    lost, other = connect(), connect()
    await lost.listen()
    instance_id = await lost.start()
    turn = await lost.item()
    lost.lose()
    await other.listen()
    again = await other.item()
    assert again.orchestratorRequest.instanceId == instance_id
    await other.answer(turn, end("stale"))
    await other.answer(again, end("2"))
    assert (await other.ended(instance_id)).output.value == "2"


@pytest.mark.asyncio
async def test_an_activity_outlives_its_stream(connect: Connect) -> None:
    """Its outcome may come over another connection, for a while; only the token ties them."""
    peer, other = connect(), connect()
    await peer.listen()
    instance_id = await peer.start()
    await peer.answer(await peer.item(), calling(1))
    activity = await peer.item()
    peer.lose()
    await other.result(activity, "7")
    await other.listen()
    turn = await other.item()
    assert turn.orchestratorRequest.newEvents[1].taskCompleted.result.value == "7"
    await other.answer(turn, end())
    await other.ended(instance_id)


@pytest.mark.asyncio
@pytest.mark.parametrize("options", [SidecarOptions(ping_interval=0.1)])
async def test_silence_is_broken_by_pings(connect: Connect) -> None:
    """Workers take a long silence for a broken connection."""
    peer = connect()
    await peer.listen()
    for _ in range(3):
        assert (await peer.item()).HasField("healthPing")


@pytest.mark.asyncio
async def test_large_histories_are_streamed(connect: Connect) -> None:
    """To a worker that can; the stream holds all past events, in chunks below 4 MiB."""
    peer = connect()
    await peer.listen(capabilities=[pb.WORKER_CAPABILITY_HISTORY_STREAMING])
    instance_id = await peer.start()
    await peer.answer(await peer.item(), *(calling(number) for number in range(1, 9)))
    completed = 0
    while completed < 8:
        item = await peer.item()
        if item.HasField("activityRequest"):
            await peer.result(item, f'"{"x" * 400_000}"')
        else:
            completed += kinds(item.orchestratorRequest.newEvents).count("taskCompleted")
            await peer.answer(item)
    await peer.call("RaiseEvent", pb.RaiseEventRequest(instanceId=instance_id, name="e"))
    turn = await peer.item()
    request = turn.orchestratorRequest
    assert request.requiresHistoryStreaming
    assert not request.pastEvents
    chunks = await peer.history(
        pb.StreamInstanceHistoryRequest(instanceId=instance_id, forWorkItemProcessing=True)
    )
    assert len(chunks) > 1
    assert max(chunk.ByteSize() for chunk in chunks) < 1_000_000
    events = [event for chunk in chunks for event in chunk.events]
    assert kinds(events).count("taskCompleted") == 8
    assert kinds(events)[:2] == ["orchestratorStarted", "executionStarted"]
    await peer.answer(turn, end())
    await peer.ended(instance_id)


async def _next_activity(peer: Peer) -> pb.WorkItem:
    """The next activity; turns in between ask for nothing."""
    while True:
        item = await peer.item()
        if item.HasField("activityRequest"):
            return item
        await peer.answer(item)


@pytest.mark.asyncio
async def test_a_response_in_chunks(connect: Connect) -> None:
    """**turn-atomic** Its actions are carried out together, and a repeated beginning once."""
    peer = connect()
    await peer.listen()
    instance_id = await peer.start()
    turn = await peer.item()
    for part in (0, 0, 1):
        response = pb.OrchestratorResponse(
            completionToken=turn.completionToken, isPartial=True, actions=[calling(part + 1)]
        )
        response.chunkIndex.value = part
        await peer.call("CompleteOrchestratorTask", response)
    assert await peer.rests()
    await peer.listen()
    turn = await peer.item()
    await peer.answer(turn, calling(1), calling(2))
    assert {(await _next_activity(peer)).activityRequest.taskId for _ in range(2)} == {1, 2}
    assert instance_id


@pytest.mark.asyncio
async def test_what_cannot_be_done_fails_the_instance(connect: Connect) -> None:
    """**failure-shape** It does not hang, and the text says what was asked for."""
    peer = connect()
    await peer.listen()
    instance_id = await peer.start()
    message = pb.TerminateOrchestrationAction(instanceId="another")
    await peer.answer(await peer.item(), pb.OrchestratorAction(terminateOrchestration=message))
    state = await peer.ended(instance_id)
    assert state.orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED
    assert "terminateOrchestration" in state.failureDetails.errorMessage


@pytest.mark.asyncio
async def test_traces_are_passed_on(connect: Connect) -> None:
    """From the start to the turns, from a turn to its activities and to the next turn."""
    peer = connect()
    await peer.listen()
    trace = pb.TraceContext(traceParent=f"00-{'a' * 32}-{'b' * 16}-01")
    instance_id = await peer.start(parentTraceContext=trace)
    turn = await peer.item()
    started = turn.orchestratorRequest.newEvents[1].executionStarted
    assert started.parentTraceContext == trace
    inner = pb.TraceContext(traceParent=f"00-{'a' * 32}-{'c' * 16}-01")
    action = calling(1)
    action.scheduleTask.parentTraceContext.CopyFrom(inner)
    own = pb.OrchestrationTraceContext(spanID={"value": "c" * 16})
    await peer.answer(turn, action, orchestrationTraceContext=own)
    activity = await peer.item()
    assert activity.activityRequest.parentTraceContext == inner
    await peer.result(activity, "1")
    turn = await peer.item()
    assert turn.orchestratorRequest.orchestrationTraceContext == own
    started = turn.orchestratorRequest.pastEvents[1].executionStarted
    assert started.parentTraceContext == trace
    await peer.answer(turn, end())
    await peer.ended(instance_id)


@pytest.mark.asyncio
async def test_history_on_demand(connect: Connect) -> None:
    """**replay-order** A sticky worker without the session gets the same turn with its history."""
    peer = connect()
    await peer.listen(
        metadata=(("x-durabletask-code", "c"),),
        capabilities=[pb.WORKER_CAPABILITY_HISTORY_STREAMING],
    )
    instance_id = await peer.start()
    await peer.answer(await peer.item(), calling(1))
    await peer.result(await peer.item(), "1")
    turn = await peer.item()
    assert turn.orchestratorRequest.requiresHistoryStreaming
    await peer.answer(turn, requiresHistory=True)
    again = await peer.item()
    assert len(again.orchestratorRequest.pastEvents) == 3
    assert kinds(again.orchestratorRequest.newEvents) == kinds(turn.orchestratorRequest.newEvents)
    await peer.answer(again, end())
    await peer.ended(instance_id)


@pytest.mark.asyncio
async def test_stopping_waits_for_what_is_out(sidecar: Sidecar, connect: Connect) -> None:
    """**failure-infra** What comes back in time is durable; then the stream ends without error."""
    peer = connect()
    await peer.listen()
    instance_id = await peer.start()
    turn = await peer.item()
    stopping = asyncio.ensure_future(sidecar.stop())
    await asyncio.sleep(0.1)
    assert not stopping.done()
    await peer.answer(turn, end('"in time"'))
    await asyncio.wait_for(stopping, PATIENCE)
    async with TaskHubClient(sidecar.place.partition("?")[0]) as client:
        state = await client.get_orchestration_state(instance_id)
    assert state is not None
    assert state.result == "in time"


@pytest.mark.asyncio
async def test_health_and_reflection(sidecar: Sidecar) -> None:
    """The standard services of gRPC."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{sidecar.port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", SERVICE):
            checked = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert checked.status == health_pb2.HealthCheckResponse.SERVING
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        async for answer in stub.ServerReflectionInfo(iter([request])):
            names = {service.name for service in answer.list_services_response.service}
            assert SERVICE in names


@task.orchestration
def quick(ctx: task.OrchestrationContext, value: Any) -> Any:
    """Returns its input."""
    return value
    yield


@pytest.mark.asyncio
async def test_a_silent_stream_is_opened_again(
    sidecar: Sidecar, caplog: pytest.LogCaptureFixture
) -> None:
    """**failure-infra** Whoever cuts a connection without a word is found out, and work goes on."""
    target = Target(f"127.0.0.1:{sidecar.port}", secure=False)
    backend = GrpcBackend(target, GrpcOptions(silence=0.2))
    with caplog.at_level(logging.WARNING):
        async with TaskHubWorker(backend=backend) as worker, TaskHubClient(sidecar.url) as client:
            worker.add_orchestration(quick)
            await worker.start()
            await asyncio.sleep(0.7)
            instance_id = await client.schedule_new_orchestration(quick, input=5)
            state = await client.wait_for_orchestration_completion(instance_id, timeout=PATIENCE)
            assert state.runtime_status is OrchestrationStatus.COMPLETED
    assert "was silent" in caplog.text
    await backend.close()


@pytest.mark.asyncio
async def test_waits_that_are_given_up_end(sidecar: Sidecar) -> None:
    """**wait** A timeout cancels nothing but the wait, on either side of the connection."""
    async with GrpcBackend(Target(f"127.0.0.1:{sidecar.port}", secure=False)) as backend:
        client = TaskHubClient(backend=backend)
        instance_id = await client.schedule_new_orchestration("nobody")
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await client.wait_for_orchestration_completion(instance_id, timeout=0.05)
        patient = asyncio.ensure_future(client.wait_for_orchestration_completion(instance_id))
        with pytest.raises(TimeoutError):
            await client.wait_for_orchestration_completion(instance_id, timeout=0.05)
        assert backend._completions is not None
        async with asyncio.timeout(PATIENCE):
            while True:
                if len(backend._completions._streams) == 1:
                    break
                await asyncio.sleep(0.01)
        assert not patient.done()
        patient.cancel()
        await asyncio.gather(patient, return_exceptions=True)
        await client.close()
