"""Watching: waiting for instances, and what their states and pages of them show."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from durabletask import task
from durabletask.errors import InstanceNotFoundError, InvalidRequestError
from durabletask.state import OrchestrationQuery, OrchestrationStatus
from durabletask.testing.conformance.backend.driver import PATIENCE, Body, HubDriver
from durabletask.testing.conformance.backend.fixtures import BackendFixtures

__all__ = ["WatchSuite"]

PENDING = OrchestrationStatus.PENDING
RUNNING = OrchestrationStatus.RUNNING
COMPLETED = OrchestrationStatus.COMPLETED
FAILED = OrchestrationStatus.FAILED
TERMINATED = OrchestrationStatus.TERMINATED
DAYS = timedelta(days=9)


@task.orchestration
def quick(ctx: task.OrchestrationContext, value: object) -> object:
    """Gives back what it gets."""
    return value


@task.orchestration
def patient(ctx: task.OrchestrationContext) -> Body:
    """Waits for its end."""
    how = yield ctx.wait_for_external_event("end")
    if how == "fail":
        raise ValueError(how)
    return how


@task.orchestration
def talkative(ctx: task.OrchestrationContext) -> Body:
    """Says what it has heard."""
    while (said := (yield ctx.wait_for_external_event("say"))) != "end":
        ctx.set_custom_status(said)


@task.orchestration
def restless(ctx: task.OrchestrationContext, round_number: int) -> None:
    """Begins anew in its first turn, and in every one."""
    ctx.continue_as_new(round_number + 1)


@pytest.mark.asyncio
class WatchSuite(BackendFixtures):
    """What clients see."""

    async def test_waiting_for_the_start(self, any_hub: HubDriver, other_hub: HubDriver) -> None:
        """**wait** wait-for-start returns on anything but PENDING, in any process."""
        instance_id = await any_hub.start(patient)
        done = await any_hub.start(quick, 1)
        waits = [
            asyncio.ensure_future(home.client.wait_for_orchestration_start(name, timeout=PATIENCE))
            for home in (any_hub, other_hub)
            for name in (instance_id, done)
        ]
        await any_hub.work(patient, quick)
        states = await asyncio.gather(*waits)
        assert all(state.runtime_status is not PENDING for state in states)
        await any_hub.finish(done)
        assert (await any_hub.client.wait_for_orchestration_start(done)).runtime_status is COMPLETED
        state = await any_hub.client.wait_for_orchestration_start(instance_id, timeout=DAYS)
        assert state.runtime_status is RUNNING
        await any_hub.client.suspend_orchestration(instance_id)
        await any_hub.reaches(instance_id, OrchestrationStatus.SUSPENDED)
        await any_hub.client.wait_for_orchestration_start(instance_id)

    async def test_waiting_for_the_start_of_one_that_always_begins_anew(
        self, any_hub: HubDriver, other_hub: HubDriver
    ) -> None:
        """**wait** It has started, whichever of its executions is the current one."""
        instance_id = await any_hub.start(restless, 0)
        waits = [
            asyncio.ensure_future(
                home.client.wait_for_orchestration_start(instance_id, timeout=PATIENCE)
            )
            for home in (any_hub, other_hub)
        ]
        await any_hub.work(restless)
        for state in await asyncio.gather(*waits):
            assert state.runtime_status is RUNNING
        assert (await any_hub.state(instance_id)).runtime_status is RUNNING
        await any_hub.client.terminate_orchestration(instance_id)
        assert (await any_hub.finish(instance_id)).runtime_status is TERMINATED

    @pytest.mark.parametrize("end", [COMPLETED, FAILED, TERMINATED])
    async def test_waiting_for_completion(
        self, hub: HubDriver, other_hub: HubDriver, end: OrchestrationStatus
    ) -> None:
        """**wait** wait-for-completion returns on COMPLETED, FAILED, TERMINATED, to everyone."""
        await hub.work(patient)
        instance_id = await hub.start(patient)
        waits = [asyncio.ensure_future(home.finish(instance_id)) for home in (hub, other_hub, hub)]
        await hub.reaches(instance_id, RUNNING)
        assert not any(wait.done() for wait in waits)
        if end is TERMINATED:
            await hub.client.terminate_orchestration(instance_id)
        else:
            await hub.client.raise_event(instance_id, "end", "fail" if end is FAILED else "well")
        states = await asyncio.gather(*waits)
        assert [state.runtime_status for state in states] == [end] * 3
        assert await hub.finish(instance_id) == await hub.state(instance_id) == states[1]

    async def test_a_timeout_cancels_nothing(self, any_hub: HubDriver) -> None:
        """**wait** A timeout raises TimeoutError and cancels nothing."""
        unknown = await any_hub.start(patient)
        with pytest.raises(TimeoutError, match=unknown):
            await any_hub.client.wait_for_orchestration_start(unknown, timeout=0.01)
        await any_hub.work(patient)
        with pytest.raises(TimeoutError, match=unknown):
            await any_hub.client.wait_for_orchestration_completion(
                unknown, timeout=timedelta(milliseconds=10)
            )
        with pytest.raises(TimeoutError):
            await any_hub.client.wait_for_orchestration_completion(unknown, timeout=0)
        await any_hub.client.raise_event(unknown, "end", "well")
        assert await any_hub.result(unknown) == "well"

    async def test_a_cancelled_wait_cancels_nothing(self, hub: HubDriver) -> None:
        """**wait** Giving up waiting disturbs neither the instance nor those who wait on."""
        await hub.work(patient)
        instance_id = await hub.start(patient)
        given_up, other = (asyncio.ensure_future(hub.finish(instance_id)) for _ in range(2))
        await hub.reaches(instance_id, RUNNING)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        await hub.client.raise_event(instance_id, "end", "well")
        assert (await other).result == "well"

    async def test_no_completion_is_missed(self, hub: HubDriver, other_hub: HubDriver) -> None:
        """**wait** A completion between the read and the subscription is never missed."""
        await hub.work(quick)
        for value in range(60):
            instance_id = await hub.start(quick, value)
            waits = [asyncio.ensure_future(hub.result(instance_id))]
            for _ in range(value % 6):  # so that the wait begins here or there in its life
                await asyncio.sleep(0)
            waits += [asyncio.ensure_future(home.result(instance_id)) for home in (hub, other_hub)]
            assert await asyncio.gather(*waits) == [value] * 3

    async def test_many_wait_at_once(self, hub: HubDriver, other_hub: HubDriver) -> None:
        """**wait** Hundreds of clients may wait at a time, each for its own."""
        await hub.work(quick)
        ids = [await hub.start(quick, value) for value in range(200)]
        results = await asyncio.gather(*(other_hub.result(instance_id) for instance_id in ids))
        assert results == list(range(200))

    async def test_waiting_for_nobody(self, hub: HubDriver) -> None:
        """**wait** Waiting for an instance that never was raises InstanceNotFoundError at once."""
        assert await hub.client.get_orchestration_state("nobody") is None
        began = time.monotonic()
        for wait in (
            hub.client.wait_for_orchestration_start,
            hub.client.wait_for_orchestration_completion,
        ):
            for timeout in (None, PATIENCE):
                with pytest.raises(InstanceNotFoundError, match="nobody"):
                    await wait("nobody", timeout=timeout)
        assert time.monotonic() - began < PATIENCE / 2

    async def test_the_custom_status_is_seen(
        self, any_hub: HubDriver, other_hub: HubDriver
    ) -> None:
        """A custom status is visible to everyone from the turn that set it, until the next."""
        await any_hub.work(talkative)
        instance_id = await any_hub.start(talkative)
        for said in ("hello", {"step": [1, 2]}, 0, "é", None, "last words"):
            await any_hub.client.raise_event(instance_id, "say", said)
            await any_hub.shows(instance_id, said)
            await other_hub.shows(instance_id, said)
        await any_hub.client.raise_event(instance_id, "say", "end")
        assert (await any_hub.finish(instance_id)).custom_status == "last words"
        bare = await any_hub.client.get_orchestration_state(instance_id, fetch_payloads=False)
        assert bare is not None
        assert (bare.custom_status, bare.input, bare.result) == (None, None, None)
        assert bare.runtime_status is COMPLETED

    async def test_times_of_a_life(self, hub: HubDriver) -> None:
        """A state tells when the instance was created and completed, in aware UTC."""
        before = datetime.now(UTC) - timedelta(seconds=1)
        await hub.work(patient)
        instance_id = await hub.start(patient)
        running = await hub.reaches(instance_id, RUNNING)
        assert running.completed_at is None
        await hub.client.raise_event(instance_id, "end", 1)
        state = await hub.finish(instance_id)
        assert state.completed_at is not None
        assert before <= state.created_at == running.created_at <= state.completed_at
        assert state.created_at.utcoffset() == timedelta(0)
        assert state.last_updated_at >= state.completed_at

    async def test_pages_make_up_all(self, hub: HubDriver) -> None:
        """A query comes in pages, in the order of creation, each instance once."""
        self.require(hub.backend, "query")
        ids = [await hub.start(quick, n, start_at=DAYS) for n in range(7)]
        query = OrchestrationQuery(page_size=3)
        found = [state async for state in hub.client.iter_orchestrations(query)]
        order = sorted(found, key=lambda state: (state.created_at, state.instance_id))
        assert found == order
        assert sorted(state.instance_id for state in found) == sorted(ids)
        page = await hub.client.query_orchestrations(query)
        assert len(page.items) == 3
        assert page.continuation_token is not None
        whole = await hub.client.query_orchestrations()
        assert (whole.items, whole.continuation_token) == (found, None)
        for size in (0, 10_001):
            with pytest.raises(InvalidRequestError, match="page_size"):
                await hub.client.query_orchestrations(OrchestrationQuery(page_size=size))

    async def test_filters_narrow_the_answer(self, hub: HubDriver) -> None:
        """Every field that is given narrows the answer, and they combine."""
        self.require(hub.backend, "query")
        await hub.work(quick, patient)
        await hub.start(quick, "a", instance_id="order-1", tags={"shop": "x", "eu": "yes"})
        await hub.start(quick, "b", instance_id="order-2", tags={"shop": "y"})
        await hub.start(patient, instance_id="order-3", tags={"shop": "x"})
        await hub.start(patient, instance_id="Order-4")
        for name in ("order-1", "order-2"):
            await hub.finish(name)
        for name in ("order-3", "Order-4"):
            await hub.reaches(name, RUNNING)
        third = await hub.state("order-3")
        for expected, query in (
            ("1 2", OrchestrationQuery(statuses=frozenset({COMPLETED, FAILED}))),
            ("3 4", OrchestrationQuery(name="patient")),
            ("1 2 3", OrchestrationQuery(instance_id_prefix="order-")),
            ("1 3", OrchestrationQuery(tags={"shop": "x"})),
            ("1", OrchestrationQuery(tags={"shop": "x", "eu": "yes"})),
            ("1 2", OrchestrationQuery(created_to=third.created_at)),
            ("3 4", OrchestrationQuery(created_from=third.created_at)),
            ("1 2", OrchestrationQuery(completed_from=datetime(2001, 1, 1, tzinfo=UTC))),
            ("", OrchestrationQuery(completed_to=datetime(2001, 1, 1, tzinfo=UTC))),
            ("3", OrchestrationQuery(name="patient", tags={"shop": "x"})),
            ("", OrchestrationQuery(name="quick", statuses=frozenset({RUNNING}))),
        ):
            page = await hub.client.query_orchestrations(query)
            assert " ".join(sorted(state.instance_id[6:] for state in page.items)) == expected
        bare = await hub.client.query_orchestrations(
            OrchestrationQuery(instance_id_prefix="order-1", fetch_payloads=False)
        )
        assert [(state.input, state.result) for state in bare.items] == [(None, None)]
        full = await hub.client.query_orchestrations(OrchestrationQuery(tags={"eu": "yes"}))
        assert full.items == [await hub.state("order-1")]
