"""What goes wrong between a sidecar and its callers: named, bounded, and nothing is lost."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
from tests.servers.ports import free_port

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.errors import (
    BackendUnavailableError,
    BackendUrlError,
    ConfigurationError,
    InvalidRequestError,
    OrchestrationStateError,
    PayloadTooLargeError,
)
from durabletask.grpc import GrpcBackend, GrpcOptions, Sidecar, SidecarOptions, Target
from durabletask.grpc.protocol import BATCH_METHODS, METHODS, batches, pb
from durabletask.plugins import connect
from durabletask.store.backend import StoreBackend
from durabletask.stores.memory import MemoryStore
from durabletask.worker import TaskHubWorker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TOKEN = "a secret token"


@task.orchestration
def quick(ctx: task.OrchestrationContext, value: Any) -> Any:
    """Calls one activity."""
    result = yield ctx.call_activity(echo, input=value)
    return result


@task.activity
async def echo(ctx: task.ActivityContext, value: Any) -> Any:
    """Gives back what it gets."""
    return value


@pytest_asyncio.fixture
async def sidecar() -> AsyncIterator[Sidecar]:
    """A sidecar on a fresh hub."""
    backend = StoreBackend(MemoryStore(f"bad-input-{time.monotonic_ns()}"))
    async with Sidecar(backend, port=0, options=SidecarOptions(drain_timeout=5.0)) as running:
        yield running


async def call(sidecar: Sidecar, name: str, request: Any, **metadata: str) -> Any:
    """A call as any SDK could make it."""
    method = METHODS[name]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{sidecar.port}") as channel:
        called = channel.unary_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        return await called(request, metadata=tuple(metadata.items()), timeout=10)


async def code_of(sidecar: Sidecar, name: str, request: Any, **metadata: str) -> grpc.StatusCode:
    """The status of a call that fails."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(sidecar, name, request, **metadata)
    return caught.value.code()


@pytest.mark.asyncio
async def test_no_server() -> None:
    """A clear error after a bounded time, for clients and workers alike."""
    url = f"grpc://127.0.0.1:{free_port()}?timeout=0.5"
    began = time.monotonic()
    with pytest.raises(BackendUnavailableError, match=r"no Durable Task sidecar answers.*serve"):
        await TaskHubClient(url).get_orchestration_state("x")
    worker = TaskHubWorker(url)
    worker.add_activity(echo)
    with pytest.raises(BackendUnavailableError, match="no Durable Task sidecar answers"):
        await worker.start()
    assert time.monotonic() - began < 20
    await worker.stop()


@pytest.mark.asyncio
async def test_a_worker_outlives_its_server() -> None:
    """**failure-infra** Once it has worked it keeps trying, and goes on where it was."""
    port = free_port()
    backend = StoreBackend(MemoryStore(f"outlives-{port}"))
    options = SidecarOptions(drain_timeout=0.2)
    url = f"grpc://127.0.0.1:{port}"
    async with TaskHubWorker(url) as worker:
        worker.add_orchestration(quick)
        worker.add_activity(echo)
        async with Sidecar(backend, port=port, options=options):
            await worker.start()
            async with TaskHubClient(url) as client:
                instance_id = await client.schedule_new_orchestration(quick, input=1)
                await client.wait_for_orchestration_completion(instance_id, timeout=20)
        await asyncio.sleep(0.3)
        async with Sidecar(backend, port=port, options=options), TaskHubClient(url) as client:
            instance_id = await client.schedule_new_orchestration(quick, input=2)
            state = await client.wait_for_orchestration_completion(instance_id, timeout=20)
            assert state.result == 2
    await backend.close()


@pytest.mark.asyncio
async def test_a_wait_outlives_the_server(tmp_path: Path) -> None:
    """**wait** Whoever waits while the server restarts hears of the end."""
    port = free_port()
    place = f"sqlite:///{tmp_path / 'hub.db'}"
    options = SidecarOptions(drain_timeout=0.2)
    url = f"grpc://127.0.0.1:{port}"
    async with Sidecar(place, port=port, options=options):
        client = await TaskHubClient(url).__aenter__()
        instance_id = await client.schedule_new_orchestration(quick, input=3)
        waiting = asyncio.ensure_future(client.wait_for_orchestration_completion(instance_id))
        await asyncio.sleep(0.1)
    async with Sidecar(place, port=port, options=options), TaskHubWorker(url) as worker:
        worker.add_orchestration(quick)
        worker.add_activity(echo)
        await worker.start()
        assert (await asyncio.wait_for(waiting, 20)).result == 3
    await client.close()


@pytest.mark.asyncio
async def test_an_unknown_hub(sidecar: Sidecar) -> None:
    """**hub** Refused by name; and a name that none can have is no crash."""
    url = f"{sidecar.url}?task_hub=elsewhere"
    with pytest.raises(BackendUnavailableError, match="does not serve this task hub"):
        await TaskHubClient(url).get_orchestration_state("x")
    request = pb.GetInstanceRequest(instanceId="x")
    for name in ("elsewhere", "a/b", "x" * 100):
        assert await code_of(sidecar, "GetInstance", request, taskhub=name) is (
            grpc.StatusCode.NOT_FOUND
        )
    assert not (await call(sidecar, "GetInstance", request, taskhub="default")).exists


@pytest.mark.asyncio
async def test_a_token_is_demanded() -> None:
    """Without it, with a wrong or an expired one: named, and no token is shown."""
    backend = StoreBackend(MemoryStore("tokens"))
    async with Sidecar(backend, port=0, options=SidecarOptions(token=TOKEN)) as sidecar:
        assert TOKEN not in repr(sidecar)
        target = Target(f"127.0.0.1:{sidecar.port}", secure=False)
        for token in (None, "a wrong secret"):
            options = GrpcOptions(token=token, token_over_plaintext=True)
            assert "secret" not in repr(options)
            with pytest.raises(BackendUnavailableError, match="missing, wrong or expired") as told:
                await GrpcBackend(target, options).open()
            assert "secret" not in str(told.value)
        good = GrpcBackend(target, GrpcOptions(token=TOKEN, token_over_plaintext=True))
        async with good:
            assert await good.get_instance("x") is None
        with pytest.raises(ConfigurationError, match="token_over_plaintext"):
            GrpcBackend(target, GrpcOptions(token=TOKEN))


@pytest.mark.asyncio
async def test_messages_that_are_too_large(sidecar: Sidecar) -> None:
    """A named error at the client, and the sidecar goes on."""
    async with TaskHubClient(f"{sidecar.url}?max_message_bytes=1000") as client:
        with pytest.raises(PayloadTooLargeError):
            await client.schedule_new_orchestration(quick, input="x" * 10_000, instance_id="big")
    async with TaskHubClient(sidecar.url) as client:
        assert await client.get_orchestration_state("big") is None
        with pytest.raises(PayloadTooLargeError):
            await client.schedule_new_orchestration(quick, input="x" * 17_000_000)


@pytest.mark.asyncio
async def test_bytes_that_are_no_message(sidecar: Sidecar) -> None:
    """The caller's mistake, in calls and streams, and in a batch: no failure of the server."""
    methods = [*METHODS.values(), *BATCH_METHODS.values()]
    packed = batches.Outcomes(turns=[b"\0"]).SerializeToString()
    cases = [(method, b"\0") for method in methods] + [(BATCH_METHODS["Complete"], packed)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{sidecar.port}") as channel:
        for method, garbage in cases:
            begin = channel.unary_stream if method.streams else channel.unary_unary
            code = await begin(method.path)(garbage, timeout=10).code()
            assert code is grpc.StatusCode.INVALID_ARGUMENT, method.path


@pytest.mark.asyncio
async def test_garbage_on_the_port(sidecar: Sidecar) -> None:
    """Whatever is sent there, the next caller is served."""
    for garbage in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0" * 4096,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nxxxxx",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
        writer.write(garbage)
        await writer.drain()
        await asyncio.wait_for(reader.read(100), 20)
        writer.close()
        await writer.wait_closed()
    assert not (await call(sidecar, "GetInstance", pb.GetInstanceRequest(instanceId="x"))).exists


@pytest.mark.asyncio
async def test_a_server_of_something_else() -> None:
    """It says what it is not."""
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(BackendUnavailableError, match=f"127.0.0.1:{port}"):
        await connect(f"grpc://127.0.0.1:{port}?timeout=0.5").open()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    "url",
    [
        "grpc://",
        "grpc://host:99999",
        "grpc://user:secret@host",
        "grpc://host/path",
        "grpc://host?nonsense=1",
        "grpc://host?timeout=0",
        "grpcs://host?keepalive=soon",
    ],
)
def test_malformed_urls(url: str) -> None:
    """What is wrong is named, without what may be a secret."""
    with pytest.raises(BackendUrlError) as caught:
        connect(url)
    assert "secret" not in str(caught.value)


@pytest.mark.asyncio
async def test_tokens_of_completions_that_mean_nothing(sidecar: Sidecar) -> None:
    """**activity-once** Stale and made-up tokens change nothing, and are no errors."""
    for name, request in (
        ("CompleteOrchestratorTask", pb.OrchestratorResponse(completionToken="made up")),
        ("CompleteActivityTask", pb.ActivityResponse(completionToken="")),
        ("AbandonTaskActivityWorkItem", pb.AbandonActivityTaskRequest(completionToken="?")),
        ("AbandonTaskOrchestratorWorkItem", pb.AbandonOrchestrationTaskRequest()),
    ):
        await call(sidecar, name, request)


@pytest.mark.asyncio
async def test_status_codes_that_sdks_translate(sidecar: Sidecar) -> None:
    """As the published servers answer."""
    code = grpc.StatusCode
    start = pb.CreateInstanceRequest(instanceId="i", name="nobody")
    assert (await call(sidecar, "StartInstance", start)).instanceId == "i"
    assert await code_of(sidecar, "StartInstance", start) is code.ALREADY_EXISTS
    assert (await call(sidecar, "StartInstance", pb.CreateInstanceRequest(name="n"))).instanceId
    invalid = pb.CreateInstanceRequest(instanceId="@entity", name="n")
    assert await code_of(sidecar, "StartInstance", invalid) is code.INVALID_ARGUMENT
    assert await code_of(sidecar, "StartInstance", pb.CreateInstanceRequest()) is (
        code.INVALID_ARGUMENT
    )
    for name, request in (
        ("RaiseEvent", pb.RaiseEventRequest(instanceId="none", name="e")),
        ("SuspendInstance", pb.SuspendRequest(instanceId="none")),
        ("ResumeInstance", pb.ResumeRequest(instanceId="none")),
        ("RestartInstance", pb.RestartInstanceRequest(instanceId="none")),
        ("RewindInstance", pb.RewindInstanceRequest(instanceId="none")),
    ):
        assert await code_of(sidecar, name, request) is code.NOT_FOUND
    await call(sidecar, "TerminateInstance", pb.TerminateRequest(instanceId="none"))
    restart = pb.RestartInstanceRequest(instanceId="i")
    assert await code_of(sidecar, "RestartInstance", restart) is code.FAILED_PRECONDITION
    rewind = pb.RewindInstanceRequest(instanceId="i")
    assert await code_of(sidecar, "RewindInstance", rewind) is code.FAILED_PRECONDITION
    for name in ("SignalEntity", "GetEntity"):
        assert await code_of(sidecar, name, METHODS[name].request()) is code.INVALID_ARGUMENT
    assert await code_of(sidecar, "DeleteTaskHub", pb.DeleteTaskHubRequest()) is code.UNIMPLEMENTED
    batch = pb.InstanceBatch(instanceIds=map(str, range(501)))
    purge = pb.PurgeInstancesRequest(instanceBatch=batch)
    assert await code_of(sidecar, "PurgeInstances", purge) is code.INVALID_ARGUMENT
    skipped = await call(
        sidecar,
        "SkipGracefulOrchestrationTerminations",
        pb.SkipGracefulOrchestrationTerminationsRequest(
            instanceBatch=pb.InstanceBatch(instanceIds=["none", "i"])
        ),
    )
    assert list(skipped.unterminatedInstanceIds) == ["none"]


@pytest.mark.asyncio
async def test_errors_of_the_client(sidecar: Sidecar) -> None:
    """The same names as on any backend."""
    async with TaskHubClient(sidecar.url) as client:
        instance_id = await client.schedule_new_orchestration("nobody")
        with pytest.raises(OrchestrationStateError, match=instance_id):
            await client.restart_orchestration(instance_id)
        with pytest.raises(InvalidRequestError, match="blank"):
            await client.schedule_new_orchestration(" ")
