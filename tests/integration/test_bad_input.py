"""Bad input: each a named error under one root that says what to do, before anything is written."""

import asyncio
import os
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from importlib.metadata import EntryPoints, distributions
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.errors import (
    ArgumentTypeError,
    BackendNotFoundError,
    BackendUnavailableError,
    BackendUrlError,
    ConfigurationError,
    DurableTaskError,
    InstanceAlreadyExistsError,
    InstanceNotFoundError,
    InvalidRequestError,
    PayloadTooLargeError,
    RegistrationError,
    SchemaVersionError,
    SerializationError,
)
from durabletask.plugins import manager, plugin_manager
from durabletask.state import OrchestrationQuery, OrchestrationState, OrchestrationStatus
from durabletask.stores.sqlite import SQLiteStore
from durabletask.worker import TaskHubWorker, WorkerOptions

HUGE = "x" * (17 << 20)
"""More than the 16 MiB that a payload may have."""

Call = Callable[[TaskHubClient], Coroutine[Any, Any, Any]]


@task.activity
def echo(ctx: task.ActivityContext, value: Any) -> Any:
    """An activity."""
    return value


@contextmanager
def refused(error: type[Exception], hint: str) -> Iterator[None]:
    """Expect this very error, under the one root, with this in its text."""
    with pytest.raises(DurableTaskError, match=hint) as raised:
        yield
    assert raised.type is error


def contents(folder: Path) -> set[str]:
    """Everything in a folder, and in its folders."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# --- URLs --------------------------------------------------------------------------------------

UNUSABLE_URLS: list[tuple[Any, type[Exception], str]] = [
    (
        "nosuch://place",
        BackendNotFoundError,
        r"'nosuch'.*installed: .*memory.*sqlite",
    ),
    ("sqllite:///hub.db", BackendNotFoundError, "did you mean 'sqlite'"),
    ("", BackendUrlError, "must read scheme://place"),
    ("hub.db", BackendUrlError, "must read scheme://place"),
    ("sqlite:/hub.db", BackendUrlError, "must read scheme://place"),
    (" sqlite:///hub.db", BackendUrlError, "without surrounding blanks"),
    ("sqlite:///hub.db#1", BackendUrlError, "write %23"),
    ("sqlite:///hub.db?synchronous", BackendUrlError, "name=value"),
    ("sqlite:///%ff.db", BackendUrlError, "UTF-8"),
    ("sqlite:///hub.db?task_hub=", BackendUrlError, "1 to 64 letters"),
    ("sqlite:///hub.db?task_hub=a&task_hub=a", BackendUrlError, "given twice"),
    (3, ArgumentTypeError, "a backend URL is a str, not int"),
    (Path("hub.db"), ArgumentTypeError, "a backend URL is a str"),
]

UNOPENABLE_URLS: list[tuple[str, type[Exception], str]] = [
    ("sqlite:///", BackendUrlError, "a file follows three slashes"),
    ("sqlite://hub.db", BackendUrlError, "a file follows three slashes"),
    ("sqlite://host/hub.db", BackendUrlError, "a file follows three slashes"),
    ("sqlite://:memory:", BackendUrlError, "use memory://"),
    ("sqlite:///:memory:", BackendUrlError, "use memory://"),
    ("sqlite:///hub.db?synchronus=full", BackendUrlError, "did you mean 'synchronous'.*known opt"),
    ("sqlite:///hub.db?synchronous=off", BackendUrlError, "must be 'full' or 'normal'"),
    ("sqlite:///hub.db?busy_timeout=soon", BackendUrlError, "must be a number"),
    ("sqlite:///hub.db?busy_timeout=-1", BackendUrlError, "seconds from 0 to 3600"),
    ("memory://?synchronous=full", BackendUrlError, "unknown option .* known options: task_hub"),
    ("memory://host", BackendUrlError, "memory://"),
    ("sqlite:///missing/hub.db", BackendUnavailableError, "create it first"),
    ("sqlite:///folder", BackendUnavailableError, "is a directory: name a file in it"),
]


class TestUrls:
    """A URL that leads nowhere is refused, and nothing is created."""

    @pytest.fixture(autouse=True)
    def here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An empty working directory, but for a folder."""
        monkeypatch.chdir(tmp_path)
        (tmp_path / "folder").mkdir()

    @pytest.mark.parametrize(("url", "error", "hint"), UNUSABLE_URLS, ids=lambda part: repr(part))
    def test_unusable_ones(
        self, url: Any, error: type[Exception], hint: str, tmp_path: Path
    ) -> None:
        """Whoever is given one says so at once."""
        for taker in (TaskHubClient, TaskHubWorker):
            with refused(error, hint):
                taker(url)
        assert contents(tmp_path) == {"folder"}

    @pytest.mark.asyncio
    @pytest.mark.parametrize(("url", "error", "hint"), UNOPENABLE_URLS)
    async def test_unopenable_ones(
        self, url: str, error: type[Exception], hint: str, tmp_path: Path
    ) -> None:
        """The backend refuses them when it is opened."""
        with refused(error, hint):
            await TaskHubClient(url).schedule_new_orchestration("any")
        worker = TaskHubWorker(url)
        worker.add_activity(echo)
        with refused(error, hint):
            await worker.start()
        assert contents(tmp_path) == {"folder"}

    def test_the_environment_is_blamed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A malformed default says where it comes from."""
        monkeypatch.setenv("DURABLETASK_URL", "hub.db")
        with refused(BackendUrlError, "in the environment variable DURABLETASK_URL"):
            TaskHubClient()

    def test_two_places_at_once(self) -> None:
        """One of two contradicting arguments has to go."""
        with refused(BackendUrlError, "leave one out"):
            TaskHubClient("memory://?task_hub=a", task_hub_name="b")
        with refused(ArgumentTypeError, "backend= takes a Backend"):
            TaskHubClient(backend="memory://")

    def test_a_missing_driver(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A backend that is installed without what it needs names that, and the extra."""
        (tmp_path / "half_installed.py").write_text("import no_such_driver\n")
        info = tmp_path / "half_installed-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: half-installed\nVersion: 1\n")
        (info / "entry_points.txt").write_text(
            "[durabletask.backends]\npostgresql = half_installed\nstrange = half_installed\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        only_distributions_of(tmp_path, monkeypatch)
        with refused(
            BackendNotFoundError, r"module 'no_such_driver'.*pip install .*core\[postgres\]"
        ):
            TaskHubClient("postgres://host/hub")
        with refused(BackendNotFoundError, r"module 'no_such_driver'.*\(half-installed\)"):
            TaskHubWorker("strange://place")

    def test_a_missing_distribution(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """One of ours that is not installed is named with its extra."""
        only_distributions_of(tmp_path, monkeypatch)
        with refused(BackendNotFoundError, r'pip install "durabletask-core\[redis\]"'):
            TaskHubClient("redis://host")


def only_distributions_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if nothing were installed but what lies in this folder."""
    found = EntryPoints(
        entry
        for distribution in distributions(path=[str(folder)])
        for entry in distribution.entry_points
    )
    monkeypatch.setattr(manager, "entry_points", lambda **wanted: found.select(**wanted))
    for scheme in ("postgresql", "redis"):  # another test may have loaded it
        plugin_manager().unregister(scheme)


# --- files -------------------------------------------------------------------------------------


def diary(path: Path) -> None:
    """A file that is no database."""
    path.write_text("Dear diary, " * 1000)


def database_of_others(path: Path) -> None:
    """A database of another program."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE accounts (id INTEGER)")
        database.commit()


def newer_hub(path: Path) -> None:
    """A hub that a later version of this library has written."""

    async def create() -> None:
        store = SQLiteStore(path)
        await store.open()
        await store.close()

    asyncio.run(create())
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
        database.commit()


FOREIGN_FILES: list[tuple[Callable[[Path], None], type[Exception], str]] = [
    (diary, BackendUnavailableError, r"not a (SQLite )?database"),
    (database_of_others, BackendUnavailableError, "another program.*a file of its own"),
    (newer_hub, SchemaVersionError, "version 99.*upgrade durabletask-core"),
]


class TestFiles:
    """A file that is not ours to write is left as it is."""

    @pytest.mark.parametrize(("make", "error", "hint"), FOREIGN_FILES)
    def test_foreign_ones(
        self, make: Callable[[Path], None], error: type[Exception], hint: str, tmp_path: Path
    ) -> None:
        """Neither a client nor a worker changes a byte of it."""
        path = tmp_path / "hub.db"
        make(path)
        before = path.read_bytes()

        async def try_both() -> None:
            with refused(error, hint):
                await TaskHubClient(f"sqlite:///{path}").schedule_new_orchestration("any")
            worker = TaskHubWorker(f"sqlite:///{path}")
            worker.add_activity(echo)
            with refused(error, hint):
                await worker.start()

        asyncio.run(try_both())
        assert path.read_bytes() == before

    @pytest.mark.asyncio
    async def test_unwritable_ones(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The remedy is named. (The system is asked in its name: root may write anywhere.)"""
        path = tmp_path / "hub.db"
        monkeypatch.setattr(os, "access", lambda place, wanted: place != str(tmp_path))
        with refused(BackendUnavailableError, "make the file and its directory writable"):
            await TaskHubClient(f"sqlite:///{path}").schedule_new_orchestration("any")
        assert not path.exists()


# --- requests of clients -----------------------------------------------------------------------

LONG = "x" * 257

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


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty task hub."""
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'hub.db'}"


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


# --- orchestrators and activities --------------------------------------------------------------


class Opaque:
    """Something that has no JSON form."""


Misstep = Callable[[task.OrchestrationContext], Any]

MISSTEPS: dict[str, tuple[Misstep, type[Exception], str]] = {
    "yield-none": (lambda ctx: None, ArgumentTypeError, "durable tasks only, not NoneType"),
    "yield-value": (lambda ctx: 3, ArgumentTypeError, "leave other awaitables .* to activities"),
    "yield-list": (lambda ctx: [ctx.call_activity(echo)], ArgumentTypeError, "task.when_all"),
    "activity-input": (
        lambda ctx: ctx.call_activity(echo, input=Opaque()),
        SerializationError,
        "the input of activity 'echo'.*`.*Opaque`",
    ),
    "activity-huge": (
        lambda ctx: ctx.call_activity(echo, input=HUGE),
        PayloadTooLargeError,
        "the input of activity 'echo' takes .*elsewhere",
    ),
    "child-input": (
        lambda ctx: ctx.call_sub_orchestration("patient", input=Opaque()),
        SerializationError,
        "'patient'.*`.*Opaque`",
    ),
    "child-id": (
        lambda ctx: ctx.call_sub_orchestration("patient", instance_id=LONG),
        InvalidRequestError,
        "at most 256",
    ),
    "activity-name": (lambda ctx: ctx.call_activity(" "), InvalidRequestError, "blank"),
    "activity-type": (lambda ctx: ctx.call_activity(3), ArgumentTypeError, "not int"),
    "event": (
        lambda ctx: ctx.send_event("other", "news", data=Opaque()),
        SerializationError,
        "'news'.*`.*Opaque`",
    ),
    "status": (lambda ctx: ctx.set_custom_status(Opaque()), SerializationError, "custom status"),
    "new-input": (lambda ctx: ctx.continue_as_new(Opaque()), SerializationError, "`.*Opaque`"),
    "timer": (lambda ctx: ctx.create_timer(3), ArgumentTypeError, "timedelta"),
    "when-any": (lambda ctx: task.when_any([]), InvalidRequestError, "at least one task"),
    "when-all": (lambda ctx: task.when_all([3]), ArgumentTypeError, "item 0 is of type int"),
    "wait-name": (lambda ctx: ctx.wait_for_external_event(""), InvalidRequestError, "blank"),
    "wait-timeout": (
        lambda ctx: ctx.wait_for_external_event("e", timeout=3),
        ArgumentTypeError,
        "timedelta",
    ),
}


@task.orchestration
def stumbles(ctx: task.OrchestrationContext, name: str):
    """Makes a misstep, survives it, and goes on; then makes it again."""
    ctx.set_custom_status("before")
    misstep, kind, _ = MISSTEPS[name]
    try:
        yield misstep(ctx)
    except kind as error:
        assert type(error) is kind
        assert (yield ctx.call_activity(echo, input=str(error))) == str(error)
    else:
        raise AssertionError("it was let through")
    yield misstep(ctx)


@task.orchestration
def returns_opaque(ctx: task.OrchestrationContext) -> Opaque:
    """Returns what cannot be stored."""
    return Opaque()


@task.orchestration
def returns_much(ctx: task.OrchestrationContext) -> str:
    """Returns too much."""
    return HUGE


@task.activity
def opaque(ctx: task.ActivityContext) -> Opaque:
    """Returns what cannot be stored."""
    return Opaque()


@task.activity
async def much(ctx: task.ActivityContext) -> str:
    """Returns too much."""
    return HUGE


@task.activity
def counts(ctx: task.ActivityContext, number: int) -> int:
    """Takes a number."""
    return number


@task.orchestration
def calls(ctx: task.OrchestrationContext, name: str):
    """Calls an activity with a text."""
    return (yield ctx.call_activity(name, input="text" if name == "counts" else None))


@task.orchestration
def takes_number(ctx: task.OrchestrationContext, number: int) -> int:
    """Takes a number."""
    return number


FAILING: list[tuple[Any, Any, type[Exception], str]] = [
    (returns_opaque, None, SerializationError, "the result of orchestration 'returns_opaque'"),
    (returns_much, None, PayloadTooLargeError, "result of orchestration.*elsewhere"),
    (takes_number, "text", SerializationError, "the input of orchestration 'takes_number'"),
    (calls, "opaque", SerializationError, "activity 'opaque'.*`.*Opaque`"),
    (calls, "much", PayloadTooLargeError, "activity 'much'.*elsewhere"),
    (calls, "counts", SerializationError, "the input of activity 'counts'"),
]


@pytest.mark.asyncio
class TestCode:
    """**failure-serialize** Bad input from user code fails that call or instance; none loops."""

    @pytest_asyncio.fixture
    async def client(self, url: str) -> AsyncIterator[TaskHubClient]:
        """A client of a hub on which a worker runs."""
        async with TaskHubClient(url) as client, TaskHubWorker(url) as worker:
            for orchestration in (stumbles, returns_opaque, returns_much, calls, takes_number):
                worker.add_orchestration(orchestration)
            for activity in (echo, opaque, much, counts):
                worker.add_activity(activity)
            await worker.start()
            yield client

    def check(self, state: OrchestrationState, error: type[Exception], hint: str) -> None:
        """It has failed because of this error, and says what to do."""
        details = state.failure_details
        assert (state.runtime_status, state.result) == (OrchestrationStatus.FAILED, None)
        assert details is not None
        assert details.is_caused_by(error)
        assert details.is_caused_by(DurableTaskError)
        assert re.search(hint, details.message), details.message

    async def test_missteps(self, client: TaskHubClient) -> None:
        """**yield-task** Thrown where the mistake is; caught, it leaves no trace."""
        for name, (_, error, hint) in MISSTEPS.items():
            instance_id = await client.schedule_new_orchestration(stumbles, input=name)
            state = await client.wait_for_orchestration_completion(instance_id, timeout=20)
            self.check(state, error, hint)
            assert state.custom_status == "before"
        assert {state.name async for state in client.iter_orchestrations()} == {"stumbles"}

    async def test_values(self, client: TaskHubClient) -> None:
        """**failure-serialize** Outputs, and inputs that do not fit, name the place."""
        for orchestration, given, error, hint in FAILING:
            instance_id = await client.schedule_new_orchestration(orchestration, input=given)
            state = await client.wait_for_orchestration_completion(instance_id, timeout=20)
            self.check(state, error, hint)


# --- set-up ------------------------------------------------------------------------------------


def no_parameters() -> None:
    """Takes no context."""


def three_parameters(ctx: Any, one: Any, two: Any) -> None:
    """Takes too much."""


def generates(ctx: Any) -> Any:
    """A generator."""
    yield


async def generates_async(ctx: Any) -> Any:
    """An async generator."""
    yield


SETUPS: list[tuple[Callable[[TaskHubWorker], Any], type[Exception], str]] = [
    (lambda w: w.add_activity(3), RegistrationError, "takes a function, not int"),
    (lambda w: w.add_activity(lambda ctx: 1), RegistrationError, "with a name="),
    (lambda w: w.add_activity(no_parameters), RegistrationError, r"must take \(ctx\)"),
    (lambda w: w.add_activity(three_parameters), RegistrationError, r"or \(ctx, input\)"),
    (lambda w: w.add_activity(generates), RegistrationError, "add_orchestration"),
    (lambda w: w.add_activity(stumbles), RegistrationError, "with add_orchestration"),
    (lambda w: w.add_activity(echo, name=3), RegistrationError, "visible text"),
    (lambda w: w.add_orchestration(echo), RegistrationError, "with add_activity"),
    (lambda w: w.add_orchestration(generates_async), RegistrationError, "either yield or await"),
    (lambda w: task.activity("name"), RegistrationError, r"@task.activity\(name=...\)"),
    (lambda w: task.activity(name=" ")(generates), RegistrationError, "visible text"),
    (lambda w: task.orchestration(version=3)(generates), RegistrationError, "version="),
    (lambda w: TaskHubWorker("memory://", options={}), ArgumentTypeError, "a WorkerOptions object"),
    (lambda w: TaskHubClient("memory://", data_converter=3), ArgumentTypeError, "DataConverter"),
    (lambda w: TaskHubWorker("memory://", data_converter=3), ArgumentTypeError, "DataConverter"),
]


@pytest.mark.parametrize(("call", "error", "hint"), SETUPS)
def test_set_ups_that_are_refused(
    call: Callable[[TaskHubWorker], Any], error: type[Exception], hint: str
) -> None:
    """Functions of the wrong shape, and objects of the wrong kind."""
    with refused(error, hint):
        call(TaskHubWorker("memory://"))


COUNTS = ["max_concurrent_orchestrations", "max_concurrent_activities", "max_activity_threads"]
TIMES = ["unregistered_grace", "stop_timeout", "slow_turn"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in COUNTS for value in (0, -1, 1.5, "3", None, True)),
        *(("max_cached_sessions", value) for value in (-1, 1.5, "3", None)),
        *((name, value) for name in TIMES for value in (-0.1, float("nan"), "3", None)),
        ("nondeterminism", "ignore"),
    ],
)
def test_options_that_are_refused(name: str, value: Any) -> None:
    """Negative numbers, fractions of things, NaN and other types; the option is named."""
    with refused(ConfigurationError, f"{name} must be .*, not {re.escape(repr(value))}"):
        WorkerOptions(**{name: value})
