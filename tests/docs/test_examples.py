"""Every example runs as its user would run it, and prints what it is there to show."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

OUTPUTS = {
    "approval.py": (
        "(please approve: .*\n){3}a desk: approved\na yacht: rejected\na lamp: escalated"
    ),
    "async_orchestrator.py": r"\['Hello London!', 'Hello Seattle!', 'Hello Tokyo!'\]",
    "chaining.py": "loaded 3 numbers, 14 in all",
    "custom_retry.py": r"\{'success': True, 'attempts': 3, 'result': 'reached mars'\}",
    "entities.py": "(done\n){4}too little money\nada has 100\nbob has 100",
    "eternal.py": "round 0\nround 1\n(round .*\n)*TERMINATED: enough for today",
    "fan_out.py": r"\{'count': 4, 'sum': 36, 'average': 9.0\}",
    "hello_cities.py": "Hello Tokyo!\nHello Seattle!\nHello London!",
    "process_order.py": (
        "Started orchestration\nShipping scheduled for order order-123\n"
        r"Result: \{'success': True, 'order_id': 'order-123', 'payment_id': 'payment-order-123'\}"
    ),
    "pydantic_models.py": (
        "2 for Ada\norchestration '.*' failed: durabletask.errors.SerializationError: cannot read "
        "the input of orchestration 'take_order' as `__main__\\.Order`: Input should be greater "
        r"than 0 - at `\$\.quantity`\..*"
    ),
    "retry_policy.py": (
        "reached mars at attempt 3\norchestration '.*' failed: durabletask.errors.TaskFailedError: "
        r"activity 'unreliable_activity' \(#1\) failed: ValueError: nobody to reach"
    ),
    "typed_payloads.py": (
        r"\{'total': '220\.00', 'carrier': 'post', 'due': '9999-12-31'\}\n"
        r"Receipt\(total=Decimal\('220\.00'\), carrier=<Carrier\.POST: 'post'>, due=.*\)"
    ),
}

# Everything that Python can complain about is an error, but not that a debug loop thinks it slow.
STRICT = [sys.executable, "-W", "error", "-W", "default::ResourceWarning"]


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment, without a place of its own."""
    return {name: value for name, value in os.environ.items() if name != "DURABLETASK_URL"}


def test_every_example_is_here() -> None:
    """None is forgotten."""
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(OUTPUTS)


@pytest.mark.parametrize(
    ("name", "url"),
    [*((name, None) for name in sorted(OUTPUTS)), ("hello_cities.py", "memory://")],
)
def test_it_prints_what_it_should(
    name: str, url: str | None, tmp_path: Path, environment: dict[str, str]
) -> None:
    """On the default place, a file in the working directory, or where its argument says."""
    done = subprocess.run(
        [*STRICT, str(EXAMPLES / name), *([url] if url else [])],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(OUTPUTS[name], done.stdout.strip()), done.stdout
    assert "Traceback" not in done.stderr, done.stderr
    assert "ResourceWarning" not in done.stderr, done.stderr
    assert (tmp_path / "durabletask.db").exists() == (url is None)


@pytest.mark.parametrize("first", ["worker", "client"])
def test_worker_and_client_meet_in_a_file(
    first: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Whichever of the two processes is there first, and the worker stops when it is told to."""

    def start(name: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*STRICT, str(EXAMPLES / "two_processes" / f"{name}.py")],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    second = {"worker": "client", "client": "worker"}[first]
    with start(first) as one, start(second) as two:
        worker, client = (one, two) if first == "worker" else (two, one)
        try:
            answer, complaints = client.communicate(timeout=30)
            assert client.returncode == 0, complaints
            assert answer == "COMPLETED ['a cup of tea', 'a cup of coffee']\n"
            worker.send_signal(signal.SIGTERM)
            farewell, complaints = worker.communicate(timeout=30)
            assert worker.returncode == 0, complaints
            assert farewell == "stopped; what was not finished goes on when a worker starts again\n"
        finally:
            one.kill()
            two.kill()
