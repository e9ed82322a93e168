"""A live sidecar, and a live worker and client, under messages that nobody sensible sends."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.grpc.messages import damaged, messages

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.entities import EntityQuery
from durabletask.grpc import Sidecar, SidecarOptions
from durabletask.grpc.extensions import (
    CODE,
    DELAY,
    DRAINING,
    GRACE,
    PARK_REASON,
    QUERY,
    TAGS,
    TASK_HUB,
    WORKER_ID,
)
from durabletask.grpc.protocol import BATCH_METHODS, METHODS, pb
from durabletask.history import ExecutionCompleted
from durabletask.store.backend import StoreBackend
from durabletask.stores.memory import MemoryStore
from durabletask.worker import TaskHubWorker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from durabletask.grpc.protocol import Method

EXAMPLES = settings().max_examples // 4
LARGE = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
)

UNFORESEEN = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE}
"""What a request must not be able to cause: it tells that the server failed, not the caller."""

CALLS = {method.path: method for method in (*METHODS.values(), *BATCH_METHODS.values())}

_numbers = itertools.count()


@task.orchestration
def ordinary(ctx: task.OrchestrationContext, value: Any) -> Any:
    """Calls one activity."""
    result = yield ctx.call_activity(echo, input=value)
    return result


@task.activity
async def echo(ctx: task.ActivityContext, value: Any) -> Any:
    """Gives back what it gets."""
    return value


@asynccontextmanager
async def serving() -> AsyncIterator[Sidecar]:
    """A sidecar on a fresh hub that knows an instance."""
    backend = StoreBackend(MemoryStore(f"fuzzed-{next(_numbers)}"))
    options = SidecarOptions(drain_timeout=1.0, linger=0.0, poison_after=1_000_000)
    async with Sidecar(backend, port=0, options=options) as sidecar:
        async with TaskHubClient(sidecar.url) as client:
            await client.schedule_new_orchestration("nobody", instance_id="known")
        yield sidecar


async def runs(sidecar: Sidecar) -> None:
    """After all that, an ordinary orchestration runs on an ordinary worker."""
    async with TaskHubWorker(sidecar.url) as worker, TaskHubClient(sidecar.url) as client:
        worker.add_orchestration(ordinary)
        worker.add_activity(echo)
        await worker.start()
        instance_id = await client.schedule_new_orchestration(ordinary, input=7)
        state = await client.wait_for_orchestration_completion(instance_id, timeout=20)
        assert state.result == 7


async def code_of(
    channel: grpc.aio.Channel, method: Method, packed: bytes, *metadata: tuple[str, Any]
) -> grpc.StatusCode:
    """What a call with these bytes is answered; one that waits is given up soon."""
    begin = channel.unary_stream if method.streams else channel.unary_unary
    call = begin(method.path)(packed, metadata=metadata, timeout=0.04)
    if method.streams:
        with contextlib.suppress(grpc.aio.AioRpcError):
            async for _ in call:
                pass
    return await call.code()


def with_server(check: Callable[[asyncio.Runner, Sidecar, grpc.aio.Channel], None]) -> None:
    """Run a check on a sidecar, and then something ordinary on the same one."""
    with asyncio.Runner() as runner:
        server = serving()
        sidecar = runner.run(server.__aenter__())
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{sidecar.port}")
        try:
            check(runner, sidecar, channel)
            runner.run(runs(sidecar))
        finally:
            runner.run(channel.close())
            runner.run(server.__aexit__(None, None, None))


def troubles(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What was logged as an error or with a traceback.

    gRPC's one poller serves all event loops of a process, and logs on the loop of this test what
    came too late for a loop that an earlier test has closed.
    """
    return [
        record
        for record in caplog.records
        if record.exc_info or record.levelno >= logging.ERROR
        if not (record.name == "asyncio" and "PollerCompletionQueue" in record.getMessage())
    ]


@pytest.mark.parametrize("path", CALLS)
def test_every_request_gets_an_answer(path: str, caplog: pytest.LogCaptureFixture) -> None:
    """A response, or a status that names what is wrong with the request."""
    method = CALLS[path]

    def check(runner: asyncio.Runner, sidecar: Sidecar, channel: grpc.aio.Channel) -> None:
        @LARGE
        @given(messages(method.request).map(lambda m: m.SerializeToString()))
        def schema(packed: bytes) -> None:
            assert runner.run(code_of(channel, method, packed)) not in UNFORESEEN

        @LARGE
        @given(damaged(method.request))
        def garbage(packed: bytes) -> None:
            assert runner.run(code_of(channel, method, packed)) not in UNFORESEEN

        schema()
        garbage()

    with_server(check)
    assert not troubles(caplog)


METADATA = st.lists(
    st.tuples(
        st.sampled_from([TASK_HUB, CODE, GRACE, DELAY, DRAINING, WORKER_ID, "authorization"]),
        st.sampled_from(["nan", "inf", "-inf", "1e400", "-1", "default", "", "x" * 300, "Bearer "]),
    )
    | st.tuples(
        st.sampled_from([QUERY, PARK_REASON, TAGS]),
        st.binary(max_size=30)
        | st.sampled_from(
            [
                b"[" * 20_000,
                b'{"x":' * 6_000,
                b'{"page_size":-1}',
                b'{"created_from":"0001-01-01T00:00:00+14:00"}',
                b'{"statuses":["COMPLETED"],"page_size":1e300}',
                b'{"continuation_token":"[1,2]"}',
            ]
        ),
    ),
    max_size=3,
)
"""What may come beside a request: the words that our own workers and clients use, and any value."""

TELLING = [
    *("QueryInstances", "PurgeInstances", "GetWorkItems"),
    *("AbandonTaskActivityWorkItem", "AbandonTaskEntityWorkItem", "CompleteEntityTask"),
]


@pytest.mark.parametrize("name", TELLING)
def test_metadata_is_data(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """The same of what comes beside the requests."""
    method = METHODS[name]

    def check(runner: asyncio.Runner, sidecar: Sidecar, channel: grpc.aio.Channel) -> None:
        @LARGE
        @given(messages(method.request).map(lambda m: m.SerializeToString()), METADATA)
        def schema(packed: bytes, metadata: list[tuple[str, Any]]) -> None:
            code = runner.run(code_of(channel, method, packed, *metadata))
            assert code not in UNFORESEEN, metadata

        schema()

    with_server(check)
    assert not troubles(caplog)


# --- a worker that answers anything -------------------------------------------------------------


class HostileWorker:
    """Takes a turn of an instance as a worker of any make would, and gives any answer."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._stream: Any = None

    async def item(self, field: str) -> pb.WorkItem:
        """The next item of this kind."""
        if self._stream is None:
            method = METHODS["GetWorkItems"]
            begin = self._channel.unary_stream(
                method.path,
                request_serializer=method.request.SerializeToString,
                response_deserializer=method.response.FromString,
            )
            self._stream = begin(pb.GetWorkItemsRequest())
        while True:
            item = await asyncio.wait_for(self._stream.read(), 20)
            if item is grpc.aio.EOF:
                self._stream = None
                return await self.item(field)
            if item.WhichOneof("request") == field:
                return item

    def leave(self) -> None:
        """Take no more."""
        if self._stream is not None:
            self._stream.cancel()

    async def answer(self, name: str, message: Any) -> grpc.StatusCode:
        """Give it back."""
        method = METHODS[name]
        call = self._channel.unary_unary(
            method.path, request_serializer=method.request.SerializeToString
        )
        return await call(message, timeout=5).code()


async def start(channel: grpc.aio.Channel, instance_id: str, name: str) -> None:
    """Start an instance as any SDK would."""
    method = METHODS["StartInstance"]
    call = channel.unary_unary(method.path, request_serializer=method.request.SerializeToString)
    await call(pb.CreateInstanceRequest(instanceId=instance_id, name=name), timeout=5)


async def answer_turn(
    worker: HostileWorker, channel: grpc.aio.Channel, answer: pb.OrchestratorResponse
) -> grpc.StatusCode:
    """Have a turn and answer it."""
    await start(channel, f"victim-{next(_numbers)}", "hostile")
    item = await worker.item("orchestratorRequest")
    answer.completionToken = item.completionToken
    answer.isPartial = False
    answer.requiresHistory = False
    return await worker.answer("CompleteOrchestratorTask", answer)


async def check_histories(sidecar: Sidecar) -> None:
    """**one-outcome** Each has at most one end, at its end, and only then says so."""
    async with TaskHubClient(sidecar.url) as client:
        async for state in client.iter_orchestrations():
            history = await client.get_orchestration_history(state.instance_id)
            ends = [isinstance(event, ExecutionCompleted) for event in history]
            assert not any(ends[:-1])
            assert state.runtime_status.is_finished == any(ends)


def test_a_turn_may_be_answered_with_anything(caplog: pytest.LogCaptureFixture) -> None:
    """**turn-atomic** Whatever a worker asks for is done, or ends its own instance and no other."""

    def check(runner: asyncio.Runner, sidecar: Sidecar, channel: grpc.aio.Channel) -> None:
        worker = HostileWorker(channel)

        @LARGE
        @given(messages(pb.OrchestratorResponse))
        def schema(answer: pb.OrchestratorResponse) -> None:
            assert runner.run(answer_turn(worker, channel, answer)) is grpc.StatusCode.OK

        schema()
        worker.leave()
        runner.run(check_histories(sidecar))

    with_server(check)
    assert not troubles(caplog)


async def answer_activity(
    worker: HostileWorker, channel: grpc.aio.Channel, answer: pb.ActivityResponse
) -> tuple[grpc.StatusCode, pb.WorkItem]:
    """Schedule an activity and answer it; the code, and the turn that this leads to."""
    schedule = pb.OrchestratorAction(id=1, scheduleTask=pb.ScheduleTaskAction(name="any"))
    await answer_turn(worker, channel, pb.OrchestratorResponse(actions=[schedule]))
    item = await worker.item("activityRequest")
    answer.completionToken = item.completionToken
    code = await worker.answer("CompleteActivityTask", answer)
    turn = await worker.item("orchestratorRequest")
    abandon = pb.AbandonOrchestrationTaskRequest(completionToken=turn.completionToken)
    await worker.answer("AbandonTaskOrchestratorWorkItem", abandon)
    return code, turn


def test_an_activity_may_be_answered_with_anything(caplog: pytest.LogCaptureFixture) -> None:
    """**activity-once** Its orchestration hears of an outcome, whatever that is."""

    def check(runner: asyncio.Runner, sidecar: Sidecar, channel: grpc.aio.Channel) -> None:
        @LARGE
        @given(messages(pb.ActivityResponse))
        def schema(answer: pb.ActivityResponse) -> None:
            worker = HostileWorker(channel)
            code, turn = runner.run(answer_activity(worker, channel, answer))
            worker.leave()
            assert code is grpc.StatusCode.OK
            kinds = [event.WhichOneof("eventType") for event in turn.orchestratorRequest.newEvents]
            assert kinds[-1] in ("taskCompleted", "taskFailed")

        schema()

    with_server(check)
    assert not troubles(caplog)


async def signal(channel: grpc.aio.Channel, entity_id: str) -> None:
    """Signal an entity as any SDK would."""
    method = METHODS["SignalEntity"]
    call = channel.unary_unary(method.path, request_serializer=method.request.SerializeToString)
    await call(pb.SignalEntityRequest(instanceId=entity_id, name="add"), timeout=5)


async def answer_operation(
    worker: HostileWorker, channel: grpc.aio.Channel, answer: pb.EntityBatchResult
) -> grpc.StatusCode:
    """Have an operation to run and answer it."""
    await signal(channel, f"@victim@{next(_numbers)}")
    item = await worker.item("entityRequest")
    answer.completionToken = item.completionToken
    answer.requiresState = False
    answer.ClearField("failureDetails")
    return await worker.answer("CompleteEntityTask", answer)


def test_an_operation_may_be_answered_with_anything(caplog: pytest.LogCaptureFixture) -> None:
    """**entity-state** Whatever an entity asks for is done, or all of its item has failed."""

    def check(runner: asyncio.Runner, sidecar: Sidecar, channel: grpc.aio.Channel) -> None:
        @LARGE
        @given(messages(pb.EntityBatchResult))
        def schema(answer: pb.EntityBatchResult) -> None:
            worker = HostileWorker(channel)
            code = runner.run(answer_operation(worker, channel, answer))
            worker.leave()
            assert code is grpc.StatusCode.OK

        schema()
        runner.run(check_entities(sidecar))

    with_server(check)
    assert not troubles(caplog)


async def check_entities(sidecar: Sidecar) -> None:
    """Every entity can be read."""
    async with TaskHubClient(sidecar.url) as client:
        async for state in client.iter_entities(EntityQuery(include_transient=True)):
            assert await client.get_entity(state.entity_id) is not None
