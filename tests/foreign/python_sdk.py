"""Programs of Microsoft's `durabletask` for Python, run by an interpreter that has it installed.

Usage: python python_sdk.py ADDRESS HUB worker | sidecar | all | NAME...
"""

import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import grpc

from durabletask import client as dtclient
from durabletask import task, worker
from durabletask.entities import DurableEntity, EntityInstanceId
from durabletask.internal import orchestrator_service_pb2 as pb

PATIENCE = 30
Status = dtclient.OrchestrationStatus

# --- orchestrators and activities ---------------------------------------------------------------

attempts = {}


def echo(ctx, value):
    return value


def double(ctx, value):
    return 2 * value


def flaky(ctx, key):
    attempts[key] = attempts.get(key, 0) + 1
    if attempts[key] < 3:
        raise ValueError(f"attempt {attempts[key]} of {key}")
    return attempts[key]


def broken(ctx, value):
    raise ValueError(f"cannot take {value}")


def sleepy(ctx, seconds):
    time.sleep(seconds)
    return seconds


def sequence(ctx, count):
    total = 0
    for number in range(count):
        total += yield ctx.call_activity(double, input=number)
    return total


def fan_out(ctx, count):
    results = yield task.when_all([ctx.call_activity(double, input=n) for n in range(count)])
    return sum(results)


def child(ctx, value):
    result = yield ctx.call_activity(double, input=value)
    return result


def parent(ctx, value):
    one = yield ctx.call_sub_orchestrator(child, input=value)
    two = yield ctx.call_sub_orchestrator(child, input=one, instance_id=f"{ctx.instance_id}-two")
    return two


def failing_child(ctx, key):
    yield ctx.call_activity(echo, input=0)
    attempts[key] = attempts.get(key, 0) + 1
    if attempts[key] < 2:
        raise RuntimeError(f"child attempt {attempts[key]}")
    return attempts[key]


def retrying(ctx, key):
    policy = task.RetryPolicy(
        first_retry_interval=timedelta(milliseconds=20), max_number_of_attempts=5
    )
    one = yield ctx.call_activity(flaky, input=f"{key}-a", retry_policy=policy)
    two = yield ctx.call_sub_orchestrator(failing_child, input=f"{key}-c", retry_policy=policy)
    return [one, two]


def timers(ctx, _):
    began = ctx.current_utc_datetime
    yield ctx.create_timer(timedelta(milliseconds=200))
    yield ctx.create_timer(began - timedelta(days=1))
    return (ctx.current_utc_datetime - began).total_seconds()


def listening(ctx, count):
    heard = []
    for _ in range(count):
        value = yield ctx.wait_for_external_event("Say")
        heard.append(value)
        ctx.set_custom_status(heard)
    return heard


def racing(ctx, _):
    timer = ctx.create_timer(timedelta(hours=1))
    event = ctx.wait_for_external_event("say")
    winner = yield task.when_any([timer, event])
    return "event" if winner == event else "timer"


def counting(ctx, state):
    value = yield ctx.wait_for_external_event("add")
    total = state["total"] + value
    if state["left"] > 1:
        ctx.continue_as_new({"left": state["left"] - 1, "total": total}, save_events=True)
        return None
    return total


def failing(ctx, value):
    yield ctx.call_activity(broken, input=value)


def needy(ctx, key):
    yield ctx.call_activity(echo, input=0)
    found = yield ctx.call_activity(flaky, input=key)
    return found


def needy_family(ctx, key):
    doubled = yield ctx.call_activity(double, input=4)
    found = yield task.when_all(
        [
            ctx.call_sub_orchestrator(needy, input=f"{key}-1"),
            ctx.call_activity(flaky, input=f"{key}-2"),
            ctx.call_sub_orchestrator(child, input=5),
        ]
    )
    last = yield ctx.call_sub_orchestrator(child, input=6)
    return [doubled, *found, last]


def waiting_parent(ctx, _):
    yield ctx.call_sub_orchestrator(listening, input=1, instance_id=f"{ctx.instance_id}-child")


def long_lived(ctx, count):
    for number in range(count):
        yield ctx.call_activity(sleepy, input=0.02)
        ctx.set_custom_status(number + 1)
    return count


# --- entities -----------------------------------------------------------------------------------


def counter(key):
    return EntityInstanceId("Counter", key)


class Counter(DurableEntity):
    def add(self, amount):
        self.set_state(self.get_state(int, 0) + amount)
        return self.get_state(int)

    def get(self):
        return self.get_state(int, 0)

    def add_and_fail(self, amount):
        self.add(amount)
        self.signal_entity(counter("never"), "add", 1)
        raise ValueError(f"no more than {amount}")

    def pass_on(self, keys):
        self.add(1)
        if keys:
            self.signal_entity(counter(keys[0]), "pass_on", keys[1:])

    def launch(self, key):
        return self.schedule_new_orchestration("adding", input=[key, 5])


def adding(ctx, request):
    key, amount = request
    one = yield ctx.call_entity(counter(key), "add", amount)
    try:
        yield ctx.call_entity(counter(key), "add_and_fail", 100)
    except task.TaskFailedError as error:
        message = error.details.message.rpartition(": ")[2]
    ctx.signal_entity(counter(f"{key}-beside"), "add", one)
    two = yield ctx.call_entity(counter(key), "add", amount)
    return [one, message, two]


def moving(ctx, request):
    giver, taker, amount = request
    with (yield ctx.lock_entities([counter(taker), counter(giver)])):
        given = yield ctx.call_entity(counter(giver), "get")
        taken = yield ctx.call_entity(counter(taker), "get")
        yield ctx.call_activity(echo, input=0)
        yield ctx.call_entity(counter(giver), "add", -amount)
        one = yield ctx.call_entity(counter(taker), "add", amount)
        other = yield ctx.call_entity(counter(giver), "get")
    return [given - other, one - taken]


def dropping(ctx, request):
    how, *keys = request
    yield ctx.lock_entities([counter(key) for key in keys])
    if how == "fail":
        raise ValueError("while it holds locks")
    if how == "again":
        ctx.continue_as_new(["return", *keys])
    return how


ORCHESTRATORS = [
    adding,
    child,
    counting,
    dropping,
    failing,
    failing_child,
    fan_out,
    listening,
    long_lived,
    moving,
    needy,
    needy_family,
    parent,
    racing,
    retrying,
    sequence,
    timers,
    waiting_parent,
]
ACTIVITIES = [broken, double, echo, flaky, sleepy]


def make_worker(address, hub):
    made = worker.TaskHubGrpcWorker(host_address=address, metadata=[("taskhub", hub)])
    for orchestrator in ORCHESTRATORS:
        made.add_orchestrator(orchestrator)
    for activity in ACTIVITIES:
        made.add_activity(activity)
    made.add_entity(Counter)
    return made


# --- scenarios ----------------------------------------------------------------------------------


def finish(client, instance_id, status=Status.COMPLETED):
    state = client.wait_for_orchestration_completion(instance_id, timeout=PATIENCE)
    assert state is not None, f"{instance_id} is gone"
    assert state.runtime_status == status, (state.runtime_status, state.failure_details)
    return state


def run(client, orchestrator, value=None, **options):
    instance_id = client.schedule_new_orchestration(orchestrator, input=value, **options)
    return finish(client, instance_id).get_output()


def eventually(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_sequence(client):
    assert run(client, sequence, 10) == 90


def test_fan_out(client):
    assert run(client, fan_out, 50) == 2450


def test_two_thousand_activities(client):
    assert run(client, fan_out, 2000) == 2 * sum(range(2000))


def test_fifty_at_once(client):
    ids = [client.schedule_new_orchestration(sequence, input=5) for _ in range(50)]
    assert [finish(client, instance_id).get_output() for instance_id in ids] == [20] * 50


def test_children(client):
    instance_id = client.schedule_new_orchestration(parent, input=3)
    assert finish(client, instance_id).get_output() == 12
    assert finish(client, f"{instance_id}-two").get_output() == 12


def test_timers(client):
    assert 0.19 < run(client, timers) < 20


def test_events(client):
    instance_id = client.schedule_new_orchestration(listening, input=3)
    client.wait_for_orchestration_start(instance_id, timeout=PATIENCE)
    for value in (1, {"two": 2}, None):
        client.raise_orchestration_event(instance_id, "say", data=value)
    state = finish(client, instance_id)
    assert state.get_output() == [1, {"two": 2}, None]
    instance_id = client.schedule_new_orchestration(racing)
    client.raise_orchestration_event(instance_id, "SAY", data=1)
    assert finish(client, instance_id).get_output() == "event"


def test_custom_status(client):
    instance_id = client.schedule_new_orchestration(listening, input=2)
    client.raise_orchestration_event(instance_id, "say", data="x")
    eventually(lambda: client.get_orchestration_state(instance_id).get_custom_status() == ["x"])
    client.raise_orchestration_event(instance_id, "say", data="y")
    assert finish(client, instance_id).get_custom_status() == ["x", "y"]


def test_continue_as_new(client):
    instance_id = client.schedule_new_orchestration(counting, input={"left": 5, "total": 0})
    for number in range(1, 6):
        client.raise_orchestration_event(instance_id, "add", data=number)
    assert finish(client, instance_id).get_output() == 15


def test_suspend_and_resume(client):
    instance_id = client.schedule_new_orchestration(listening, input=1)
    client.wait_for_orchestration_start(instance_id, timeout=PATIENCE)
    client.suspend_orchestration(instance_id)

    def has(status):
        return lambda: client.get_orchestration_state(instance_id).runtime_status == status

    eventually(has(Status.SUSPENDED))
    client.raise_orchestration_event(instance_id, "say", data="kept")
    time.sleep(0.3)
    assert has(Status.SUSPENDED)()
    client.resume_orchestration(instance_id)
    assert finish(client, instance_id).get_output() == ["kept"]


def test_terminate(client):
    instance_id = client.schedule_new_orchestration(waiting_parent)
    eventually(lambda: client.get_orchestration_state(f"{instance_id}-child") is not None)
    client.terminate_orchestration(instance_id, output="enough")
    assert finish(client, instance_id, Status.TERMINATED).get_output() == "enough"
    finish(client, f"{instance_id}-child", Status.TERMINATED)
    client.terminate_orchestration("nobody")
    client.terminate_orchestration(instance_id)


def test_terminate_alone(client):
    instance_id = client.schedule_new_orchestration(waiting_parent)
    eventually(lambda: client.get_orchestration_state(f"{instance_id}-child") is not None)
    client.terminate_orchestration(instance_id, recursive=False)
    finish(client, instance_id, Status.TERMINATED)
    client.raise_orchestration_event(f"{instance_id}-child", "say", data=1)
    finish(client, f"{instance_id}-child")


def test_purge(client):
    instance_id = client.schedule_new_orchestration(parent, input=1)
    finish(client, instance_id)
    purged = client.purge_orchestration(instance_id)
    assert (purged.deleted_instance_count, purged.is_complete) == (3, True)
    assert client.get_orchestration_state(instance_id) is None
    assert client.purge_orchestration(instance_id).deleted_instance_count == 0
    running = client.schedule_new_orchestration(listening, input=1)
    assert client.purge_orchestration(running).deleted_instance_count == 0
    client.terminate_orchestration(running)
    finish(client, running, Status.TERMINATED)
    began = datetime.now(UTC)
    finish(client, client.schedule_new_orchestration(sequence, input=1))
    purged = client.purge_orchestrations_by(
        created_time_from=began, runtime_status=[Status.COMPLETED]
    )
    assert purged.deleted_instance_count == 1


def test_retries(client):
    assert run(client, retrying, f"retry-{time.time()}") == [3, 2]


def test_failure_details(client):
    instance_id = client.schedule_new_orchestration(failing, input="this")
    state = finish(client, instance_id, Status.FAILED)
    assert "cannot take this" in state.failure_details.message
    assert state.failure_details.error_type.endswith("TaskFailedError")
    assert state.failure_details.stack_trace


def test_tags_and_queries(client):
    mark = f"query-{time.time()}-"
    ids = [
        client.schedule_new_orchestration(
            sequence, input=1, instance_id=f"{mark}{number}", tags={"n": str(number)}
        )
        for number in range(5)
    ]
    for instance_id in ids:
        finish(client, instance_id)
    found = client.get_all_orchestration_states(
        dtclient.OrchestrationQuery(instance_id_prefix=mark, max_instance_count=2)
    )
    assert sorted(state.instance_id for state in found) == ids
    assert all(state.get_input() is None for state in found)
    full = client.get_all_orchestration_states(
        dtclient.OrchestrationQuery(
            instance_id_prefix=mark,
            fetch_inputs_and_outputs=True,
            runtime_status=[Status.COMPLETED],
        )
    )
    assert [state.get_input() for state in full] == [1] * 5
    listed, token = set(), None
    while True:
        page = client.list_instance_ids(page_size=3, continuation_token=token)
        listed |= set(page.items)
        token = page.continuation_token
        if not token:
            break
    assert set(ids) <= listed


def test_id_reuse(client):
    instance_id = f"reuse-{time.time()}"
    assert run(client, sequence, 2, instance_id=instance_id) == 2
    try:
        client.schedule_new_orchestration(sequence, input=3, instance_id=instance_id)
        raise AssertionError("a duplicate was taken")
    except Exception as error:
        assert "ALREADY_EXISTS" in repr(error) or "already exists" in str(error), error
    policy = pb.OrchestrationIdReusePolicy(replaceableStatus=[pb.ORCHESTRATION_STATUS_COMPLETED])
    assert run(client, sequence, 3, instance_id=instance_id, reuse_id_policy=policy) == 6
    client.schedule_new_orchestration(listening, input=1, instance_id=f"{instance_id}-alive")
    policy = pb.OrchestrationIdReusePolicy(
        replaceableStatus=[
            pb.ORCHESTRATION_STATUS_RUNNING,
            pb.ORCHESTRATION_STATUS_PENDING,
            pb.ORCHESTRATION_STATUS_TERMINATED,
        ]
    )
    options = {"instance_id": f"{instance_id}-alive", "reuse_id_policy": policy}
    assert run(client, sequence, 3, **options) == 6


def test_restart(client):
    instance_id = client.schedule_new_orchestration(sequence, input=4)
    assert finish(client, instance_id).get_output() == 12
    assert client.restart_orchestration(instance_id) == instance_id
    assert finish(client, instance_id).get_output() == 12
    other = client.restart_orchestration(instance_id, restart_with_new_instance_id=True)
    assert other != instance_id
    assert finish(client, other).get_output() == 12


def test_rewind(client):
    key = f"rewind-{time.monotonic()}"
    instance_id = client.schedule_new_orchestration(needy_family, input=key)
    for reason in ("the service is back", None):
        finish(client, instance_id, Status.FAILED)
        eventually(lambda: all_finished(client))
        client.rewind_orchestration(instance_id, reason=reason)
    assert finish(client, instance_id).get_output() == [8, 3, 3, 10, 12]
    assert (attempts[f"{key}-1"], attempts[f"{key}-2"]) == (3, 3)
    told = [
        event.reason
        for event in client.get_orchestration_history(instance_id)
        if type(event).__name__ == "ExecutionRewoundEvent"
    ]
    assert told == ["the service is back", None], told
    for wrong, code in ((instance_id, "FAILED_PRECONDITION"), ("nobody", "NOT_FOUND")):
        try:
            client.rewind_orchestration(wrong)
        except grpc.RpcError as error:
            assert error.code().name == code, error
        else:
            raise AssertionError(f"{wrong} was rewound")


def all_finished(client):
    query = dtclient.OrchestrationQuery(runtime_status=[Status.PENDING, Status.RUNNING])
    return not client.get_all_orchestration_states(query)


def test_history(client):
    instance_id = client.schedule_new_orchestration(sequence, input=2)
    finish(client, instance_id)
    kinds = [type(event).__name__ for event in client.get_orchestration_history(instance_id)]
    assert kinds == [
        "OrchestratorStartedEvent",
        "ExecutionStartedEvent",
        "TaskScheduledEvent",
        "OrchestratorStartedEvent",
        "TaskCompletedEvent",
        "TaskScheduledEvent",
        "OrchestratorStartedEvent",
        "TaskCompletedEvent",
        "ExecutionCompletedEvent",
    ], kinds


def value(client, key):
    found = client.get_entity(counter(key))
    return None if found is None else found.get_typed_state(int)


def test_entities(client):
    key = f"entities-{time.time()}"
    assert run(client, adding, [key, 2]) == [2, "no more than 100", 4]
    eventually(lambda: value(client, f"{key}-beside") == 2)
    for _ in range(5):
        client.signal_entity(counter(key), "add", input=1)
    eventually(lambda: value(client, key) == 9)
    client.signal_entity(counter(f"{key}-0"), "pass_on", input=[f"{key}-{n}" for n in range(1, 5)])
    eventually(lambda: value(client, f"{key}-4") == 1)
    client.signal_entity(counter(key), "launch", input=f"{key}-launched")
    eventually(lambda: value(client, f"{key}-launched") == 10)
    at = datetime.now(UTC) + timedelta(seconds=1)
    client.signal_entity(counter(f"{key}-late"), "add", input=1, signal_time=at)
    eventually(lambda: value(client, f"{key}-late") == 1)
    assert datetime.now(UTC) >= at
    assert value(client, "never") is None
    # An operation, and an entity, that do not exist.
    for entity_id, operation in ((counter(key), "fly"), (EntityInstanceId("nothing", "x"), "be")):
        client.signal_entity(entity_id, operation)
    assert run(client, adding, [key, 1])[0] == 10


def test_many_entities(client):
    mark = f"many-{time.time()}"
    ids = [
        client.schedule_new_orchestration(adding, input=[f"{mark}-{n % 10}", 1]) for n in range(100)
    ]
    for instance_id in ids:
        finish(client, instance_id)
    assert [value(client, f"{mark}-{n}") for n in range(10)] == [20] * 10
    assert sum(value(client, f"{mark}-{n}-beside") > 0 for n in range(10)) == 10


def test_locks(client):
    mark = f"locks-{time.time()}"
    keys = [f"{mark}-{n}" for n in range(3)]
    ids = [
        client.schedule_new_orchestration(
            moving, input=[keys[n % 3], keys[(n + 1 + n % 2) % 3], n % 5 + 1]
        )
        for n in range(30)
    ]
    for number, instance_id in enumerate(ids):
        amount = number % 5 + 1
        assert finish(client, instance_id).get_output() == [amount, amount]
    assert sum(value(client, key) for key in keys) == 0


def test_locks_at_the_end(client):
    mark = f"ends-{time.time()}"
    keys = [f"{mark}-{n}" for n in range(2)]
    for how in ("return", "again", "fail"):
        status = Status.FAILED if how == "fail" else Status.COMPLETED
        instance_id = client.schedule_new_orchestration(dropping, input=[how, *keys])
        finish(client, instance_id, status)
        assert run(client, moving, [*keys, 1]) == [1, 1]


def test_entity_queries(client):
    mark = f"queried-{time.time()}"
    for number in range(5):
        client.signal_entity(counter(f"{mark}-{number}"), "add", input=number + 1)
    query = dtclient.EntityQuery(instance_id_starts_with=f"@counter@{mark}", page_size=2)

    def found():
        return {one.id.key: one.get_typed_state(int) for one in client.get_all_entities(query)}

    eventually(lambda: found() == {f"{mark}-{n}": n + 1 for n in range(5)})
    bare = client.get_entity(counter(f"{mark}-0"), include_state=False)
    assert bare is not None
    assert not bare.includes_state
    client.signal_entity(counter(f"{mark}-0"), "delete")
    eventually(lambda: client.get_entity(counter(f"{mark}-0")) is None)
    assert len(found()) == 4
    assert client.clean_entity_storage().orphaned_locks_released == 0
    assert len(found()) == 4


def test_missing(client):
    assert client.get_orchestration_state("nobody") is None
    began = time.monotonic()
    try:
        client.wait_for_orchestration_completion("nobody", timeout=1)
        raise AssertionError("somebody answered for nobody")
    except TimeoutError:
        assert time.monotonic() - began > 0.9
    appeared = f"appears-{time.time()}"
    threading.Timer(
        0.5, lambda: client.schedule_new_orchestration(sequence, input=1, instance_id=appeared)
    ).start()
    finish(client, appeared)


def test_start_at(client):
    at = datetime.now(UTC) + timedelta(seconds=1.5)
    instance_id = client.schedule_new_orchestration(sequence, input=1, start_at=at)
    assert client.get_orchestration_state(instance_id).runtime_status == Status.PENDING
    finish(client, instance_id)
    assert datetime.now(UTC) >= at


SCENARIOS = {
    name.removeprefix("test_"): function
    for name, function in list(globals().items())
    if name.startswith("test_")
}


def main():
    address, hub, *names = sys.argv[1:]
    if names == ["sidecar"]:
        from durabletask.testing import create_test_backend

        backend = create_test_backend(port=int(address.rpartition(":")[2]))
        print("ready", flush=True)
        sys.stdin.read()
        backend.stop()
        return
    made = make_worker(address, hub)
    if names == ["worker"]:
        with made:
            made.start()
            print("ready", flush=True)
            sys.stdin.read()
        return
    names = list(SCENARIOS) if names == ["all"] else names
    with (
        made,
        dtclient.TaskHubGrpcClient(host_address=address, metadata=[("taskhub", hub)]) as client,
    ):
        made.start()
        for name in names:
            began = time.monotonic()
            SCENARIOS[name](client)
            print(f"passed {name} {time.monotonic() - began:.2f}", flush=True)


if __name__ == "__main__":
    main()
