"""Requests of clients that cannot be met: refused before anything is written."""

from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

import pytest

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.errors import (
    ArgumentTypeError,
    InstanceAlreadyExistsError,
    InstanceNotFoundError,
    InvalidRequestError,
    PayloadTooLargeError,
    RegistrationError,
    SerializationError,
)
from durabletask.state import OrchestrationQuery
from durabletask.worker import TaskHubWorker

from .refusal import HUGE, LONG, refused

Call = Callable[[TaskHubClient], Coroutine[Any, Any, Any]]

REQUESTS: list[tuple[Call, type[Exception], str]] = [
    # Starting.
    (lambda c: c.schedule_new_orchestration(""), InvalidRequestError, "must not be blank"),
    (lambda c: c.schedule_new_orchestration(LONG), InvalidRequestError, "at most 256"),
    (lambda c: c.schedule_new_orchestration(3), ArgumentTypeError, "a function or a name"),
    (lambda c: c.schedule_new_orchestration(lambda ctx: 1), RegistrationError, "with a name="),
    (lambda c: start(c, instance_id=""), InvalidRequestError, "must not be blank"),
    (lambda c: start(c, instance_id=LONG), InvalidRequestError, "has 257 characters; at most 256"),
    (lambda c: start(c, instance_id="a\0"), InvalidRequestError, "NUL"),
    (lambda c: start(c, instance_id="\ud800"), InvalidRequestError, "not valid Unicode"),
    (lambda c: start(c, instance_id="@a@b"), InvalidRequestError, "kept for entities"),
    (lambda c: start(c, instance_id=3), ArgumentTypeError, "must be text, not int"),
    (lambda c: start(c, instance_id="real"), InstanceAlreadyExistsError, "choose another id"),
    (lambda c: start(c, start_at=3), ArgumentTypeError, "a datetime or a timedelta, not int"),
    (lambda c: start(c, start_at=timedelta.max), InvalidRequestError, "1 and 9999"),
    (lambda c: start(c, version=3), ArgumentTypeError, "version must be text"),
    (lambda c: start(c, tags=["a"]), ArgumentTypeError, "a mapping of text to text"),
    (lambda c: start(c, tags={"a": 1}), ArgumentTypeError, "a mapping of text to text"),
    (lambda c: start(c, tags={LONG: "a"}), InvalidRequestError, "the key of a tag"),
    (lambda c: start(c, reuse_id_policy="ignore"), ArgumentTypeError, "a ReusePolicy"),
    # Payloads.
    (lambda c: start(c, input=object()), SerializationError, "input of orchestration 'any'.*`obj"),
    (lambda c: start(c, input=[float("nan")]), SerializationError, "NaN"),
    (lambda c: start(c, input="\ud800"), SerializationError, "surrogate"),
    (lambda c: start(c, input=HUGE), PayloadTooLargeError, "Store the data elsewhere"),
    (lambda c: c.raise_event("real", "e", object()), SerializationError, "the data of event 'e'"),
    (lambda c: c.raise_event("real", "e", HUGE), PayloadTooLargeError, "the data of event 'e'"),
    (lambda c: c.terminate_orchestration("real", object()), SerializationError, "the reason"),
    (lambda c: c.terminate_orchestration("real", HUGE), PayloadTooLargeError, "elsewhere"),
    # Events.
    (lambda c: c.raise_event("real", " "), InvalidRequestError, "must not be blank"),
    (lambda c: c.raise_event("real", LONG), InvalidRequestError, "at most 256"),
    (lambda c: c.raise_event("real", 3), ArgumentTypeError, "must be text"),
    (
        lambda c: c.raise_event("gone", "e"),
        InstanceNotFoundError,
        "never started here, or .*purged",
    ),
    # Instances.
    (lambda c: c.terminate_orchestration("gone"), InstanceNotFoundError, "'gone'"),
    (lambda c: c.suspend_orchestration("gone"), InstanceNotFoundError, "'gone'"),
    (lambda c: c.resume_orchestration("gone"), InstanceNotFoundError, "'gone'"),
    (lambda c: c.get_orchestration_history("gone"), InstanceNotFoundError, "'gone'"),
    (lambda c: c.wait_for_orchestration_start("gone"), InstanceNotFoundError, "'gone'"),
    (lambda c: c.wait_for_orchestration_completion("gone"), InstanceNotFoundError, "'gone'"),
    (lambda c: c.get_orchestration_state(3), ArgumentTypeError, "must be text, not int"),
    (lambda c: c.get_orchestration_history(3), ArgumentTypeError, "must be text"),
    (lambda c: c.wait_for_orchestration_start(3), ArgumentTypeError, "must be text"),
    (lambda c: c.wait_for_orchestration_completion(None), ArgumentTypeError, "must be text"),
    (lambda c: c.raise_event(b"real", "e"), ArgumentTypeError, "must be text, not bytes"),
    (lambda c: c.terminate_orchestration(3), ArgumentTypeError, "must be text"),
    (lambda c: c.suspend_orchestration(3), ArgumentTypeError, "must be text"),
    (lambda c: c.suspend_orchestration("real", 3), ArgumentTypeError, "reason must be text"),
    (lambda c: c.resume_orchestration(3), ArgumentTypeError, "must be text"),
    (lambda c: c.purge_orchestration(OrchestrationQuery()), ArgumentTypeError, "must be text"),
    # Timeouts.
    (lambda c: c.wait_for_orchestration_start("real", timeout="1"), ArgumentTypeError, "timeout"),
    (
        lambda c: c.wait_for_orchestration_completion("real", timeout=float("nan")),
        InvalidRequestError,
        "not NaN",
    ),
    # Queries.
    (lambda c: c.query_orchestrations("real"), ArgumentTypeError, "an OrchestrationQuery, not str"),
    (lambda c: c.purge_orchestrations_by("real"), ArgumentTypeError, "an OrchestrationQuery"),
    (lambda c: c.purge_orchestrations_by(None), ArgumentTypeError, "an OrchestrationQuery"),
    (lambda c: anext(c.iter_orchestrations({})), ArgumentTypeError, "an OrchestrationQuery"),
    (lambda c: query(c, page_size=0), InvalidRequestError, "between 1 and 10,000"),
    (lambda c: query(c, page_size="7"), ArgumentTypeError, r"`int`, got `str`.*page_size"),
    (lambda c: query(c, continuation_token="x"), InvalidRequestError, "token"),
    (lambda c: query(c, statuses={"DONE"}), ArgumentTypeError, "'DONE'"),
    (lambda c: query(c, created_from=3), ArgumentTypeError, r"`datetime.*created_from"),
    (lambda c: query(c, tags={"a": 1}), ArgumentTypeError, r"`str`, got `int`.*tags"),
]


def start(client: TaskHubClient, **arguments: Any) -> Coroutine[Any, Any, Any]:
    """Start an instance."""
    return client.schedule_new_orchestration("any", **arguments)


def query(client: TaskHubClient, **fields: Any) -> Coroutine[Any, Any, Any]:
    """Query for instances."""
    return client.query_orchestrations(OrchestrationQuery(**fields))


@pytest.mark.asyncio
async def test_requests_that_are_refused(url: str) -> None:
    """**size**, **start-duplicate**, **event-missing** Nothing is written by any of them."""
    async with TaskHubClient(url) as client:
        await client.schedule_new_orchestration("any", instance_id="real", input=1)
        before = await client.query_orchestrations()
        for call, error, hint in REQUESTS:
            with refused(error, hint):
                await call(client)
        assert await client.query_orchestrations() == before
        # What was refused has reached no inbox either.
        async with TaskHubWorker(url) as worker:
            worker.add_orchestration(patient, name="any")
            await worker.start()
            await client.raise_event("real", "E", "genuine")
            state = await client.wait_for_orchestration_completion("real", timeout=20)
        assert state.result == "genuine"


@pytest.mark.asyncio
async def test_naive_datetimes_of_a_query_mean_utc(url: str) -> None:
    """**replay-clock** Those of users mean UTC, here as everywhere."""
    async with TaskHubClient(url) as client:
        await client.schedule_new_orchestration("any")
        for year, found in ((2001, 1), (9001, 0)):
            page = await query(client, created_from=datetime(year, 1, 1))
            assert len(page.items) == found


@task.orchestration
def patient(ctx: task.OrchestrationContext):
    """Waits for an event."""
    return (yield ctx.wait_for_external_event("e"))
