"""A client and a worker whose server says anything: named errors, and the next item is served."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.grpc.messages import damaged, messages

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.errors import BackendUnavailableError, DurableTaskError, OrchestrationStateError
from durabletask.grpc.extensions import BATCHES, CAPABILITIES
from durabletask.grpc.protocol import BATCH_METHODS, BATCH_SERVICE, METHODS, SERVICE, batches, pb
from durabletask.worker import TaskHubWorker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from durabletask.grpc.protocol import Method

EXAMPLES = settings().max_examples // 2
LARGE = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
)


class HostileServer:
    """Answers every call of the protocol with the bytes that it is given for the method.

    Attributes:
        answers: by the name of a method; a stream sends all of them, the others the last.
        hello: metadata of the answer to Hello.
        done: completion tokens of activities that came back.
    """

    def __init__(self) -> None:
        self.answers: dict[str, list[bytes]] = defaultdict(lambda: [b""])
        self.hello: tuple[tuple[str, str], ...] = ()
        self.done: set[str] = set()
        self.port = 0
        self._came_back = asyncio.Condition()
        self._server = grpc.aio.server()

    async def __aenter__(self) -> Self:
        for service, methods in ((SERVICE, METHODS), (BATCH_SERVICE, BATCH_METHODS)):
            self._server.add_generic_rpc_handlers((self._handlers(service, methods),))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._server.stop(0)

    def _handlers(self, service: str, methods: Mapping[str, Method]) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            service,
            {
                name: grpc.unary_stream_rpc_method_handler(self._streaming(name))
                if method.streams
                else grpc.unary_unary_rpc_method_handler(self._unary(name))
                for name, method in methods.items()
            },
        )

    def _unary(self, name: str) -> Any:
        async def answer(packed: bytes, context: Any) -> bytes:
            if name == "Hello":
                await context.send_initial_metadata(self.hello)
            elif name == "CompleteActivityTask":
                await self._completed([packed])
            elif name == "Complete":
                await self._completed(batches.Outcomes.FromString(packed).activities)
            return self.answers[name][-1]

        return answer

    def _streaming(self, name: str) -> Any:
        async def answer(packed: bytes, context: Any) -> AsyncIterator[bytes]:
            await context.send_initial_metadata(())
            for message in self.answers[name]:
                yield message
            if name == "GetWorkItems":
                await asyncio.Event().wait()

        return answer

    async def _completed(self, packed: Any) -> None:
        async with self._came_back:
            self.done |= {pb.ActivityResponse.FromString(one).completionToken for one in packed}
            self._came_back.notify_all()

    async def came_back(self, token: str) -> None:
        """Wait until an activity with this token has come back."""
        async with self._came_back:
            await asyncio.wait_for(self._came_back.wait_for(lambda: token in self.done), 20)


@contextmanager
def running() -> Iterator[tuple[asyncio.Runner, HostileServer]]:
    """A server on a loop that many examples share."""
    with asyncio.Runner() as runner:
        server = runner.run(_started())
        try:
            yield runner, server
        finally:
            runner.run(server.__aexit__())


async def _started() -> HostileServer:
    return await HostileServer().__aenter__()


# --- clients -----------------------------------------------------------------------------------

CALLS = {
    "StartInstance": lambda client: client.schedule_new_orchestration("any"),
    "GetInstance": lambda client: client.get_orchestration_state("x"),
    "WaitForInstanceStart": lambda client: client.wait_for_orchestration_start("x", timeout=0.05),
    "WaitForInstanceCompletion": lambda client: client.wait_for_orchestration_completion(
        "x", timeout=0.05
    ),
    "QueryInstances": lambda client: client.query_orchestrations(),
    "PurgeInstances": lambda client: client.purge_orchestration("x"),
    "RaiseEvent": lambda client: client.raise_event("x", "e"),
    "RestartInstance": lambda client: client.restart_orchestration("x"),
    "StreamInstanceHistory": lambda client: client.get_orchestration_history("x"),
    "StartInstances": lambda client: client.schedule_new_orchestration("any"),
    "WaitForCompletions": lambda client: client.wait_for_orchestration_completion(
        "x", timeout=0.05
    ),
}
"""What a client does, by the method that the server is asked by."""

ANSWERS = METHODS | {name: method for name, method in BATCH_METHODS.items() if name in CALLS}


@pytest.mark.parametrize("name", CALLS)
def test_an_answer_is_a_value_or_a_named_error(name: str) -> None:
    """**failure-infra** A client meets values, errors of ours, and no others."""
    kind = ANSWERS[name].response
    answers = messages(kind).map(lambda message: message.SerializeToString()) | damaged(kind)

    async def ask(server: HostileServer) -> None:
        async with TaskHubClient(f"grpc://127.0.0.1:{server.port}?timeout=5") as client:
            try:
                await asyncio.wait_for(CALLS[name](client), 20)
            except (DurableTaskError, TimeoutError) as error:
                assert str(error)

    with running() as (runner, server):
        if name in BATCH_METHODS:
            server.hello = ((BATCHES, "1"),)

        @LARGE
        @given(answers)
        def schema(answer: bytes) -> None:
            server.answers[name] = [answer]
            runner.run(ask(server))

        schema()


def test_a_refusal_without_a_reason_says_so() -> None:
    """An error always has a text."""

    async def start() -> None:
        async with HostileServer() as server:
            server.hello = ((BATCHES, "1"),)
            answer = batches.Answer(code=grpc.StatusCode.FAILED_PRECONDITION.value[0])
            answers = batches.Answers(answers=[answer])
            server.answers["StartInstances"] = [answers.SerializeToString()]
            async with TaskHubClient(f"grpc://127.0.0.1:{server.port}") as client:
                with pytest.raises(OrchestrationStateError, match="FAILED_PRECONDITION"):
                    await client.schedule_new_orchestration("any")

    asyncio.run(start())


SENSELESS = ["", "[", "null", '{"rewind":"maybe"}', "[" * 9000, '{"x":' * 5000]


@pytest.mark.parametrize("told", SENSELESS, ids=range(len(SENSELESS)))
def test_a_greeting_that_makes_no_sense(told: str) -> None:
    """What the server says of itself is told as trouble of the server."""

    async def greet() -> None:
        async with HostileServer() as server:
            server.hello = ((CAPABILITIES, told),)
            url = f"grpc://127.0.0.1:{server.port}"
            with pytest.raises(BackendUnavailableError, match=url):
                await TaskHubClient(url).get_orchestration_state("x")

    asyncio.run(greet())


# --- workers -----------------------------------------------------------------------------------


@task.activity
async def echo(ctx: task.ActivityContext, value: Any) -> Any:
    """Gives back what it gets."""
    return value


@task.orchestration
def anything(ctx: task.OrchestrationContext, value: Any) -> Any:
    """Waits for everything there is."""
    yield ctx.call_activity(echo, input=value)
    yield ctx.wait_for_external_event("e")


GOOD = pb.WorkItem(activityRequest=pb.ActivityRequest(name="echo"), completionToken="good")
ITEMS = st.lists(messages(pb.WorkItem, 6), min_size=1, max_size=4)


@pytest.mark.parametrize("in_batches", [False, True], ids=["one by one", "in batches"])
def test_the_item_after_is_served(in_batches: bool) -> None:
    """**failure-infra** An item that nobody can read keeps no other from being run."""

    async def work(server: HostileServer, packed: list[bytes], history: bytes) -> None:
        server.done.clear()
        server.answers["StreamInstanceHistory"] = [history]
        if in_batches:
            items = [*packed, GOOD.SerializeToString()]
            server.answers["GetWorkItems"] = [batches.WorkItems(items=items).SerializeToString()]
        else:
            server.answers["GetWorkItems"] = [*packed, GOOD.SerializeToString()]
        worker = TaskHubWorker(f"grpc://127.0.0.1:{server.port}?timeout=0.5")
        worker.add_activity(echo)
        worker.add_orchestration(anything)
        async with worker:
            await worker.start()
            await server.came_back("good")

    with running() as (runner, server):
        if in_batches:
            server.hello = ((BATCHES, "1"),)
        chunks = messages(pb.HistoryChunk).map(lambda chunk: chunk.SerializeToString())

        @settings(LARGE, max_examples=EXAMPLES // 3)
        @given(ITEMS, chunks)
        def schema(items: list[pb.WorkItem], history: bytes) -> None:
            packed = [item.SerializeToString() for item in items]
            runner.run(work(server, packed, history))

        @settings(LARGE, max_examples=EXAMPLES // 3)
        @given(st.lists(damaged(pb.WorkItem), min_size=1, max_size=3), chunks)
        def garbage(packed: list[bytes], history: bytes) -> None:
            runner.run(work(server, packed, history))

        schema()
        garbage()
