"""hello_sequence with Microsoft's `durabletask` for Python; needs an interpreter that has it.

Usage: python theirs.py server PORT | python theirs.py worker PORT COUNT STEPS
"""

from __future__ import annotations

import json
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

logging.disable(logging.CRITICAL)

CITIES = ("Tokyo", "Seattle", "London")
STARTERS = 4
"""Clients at a time. Its server has ten threads, and each wait and each worker holds one."""


def say_hello(ctx: Any, city: str) -> str:
    """The activity."""
    return f"Hello {city}!"


def hello(ctx: Any, _: Any) -> Any:
    """Three activities, one after another."""
    results = []
    for city in CITIES:
        results.append((yield ctx.call_activity(say_hello, input=city)))
    return results


def steps(ctx: Any, count: int) -> Any:
    """So many activities, one after another."""
    for _ in range(count):
        yield ctx.call_activity(say_hello, input="Tokyo")
    return count


def serve(port: int) -> None:
    """Be the server until the input ends."""
    from durabletask.testing import create_test_backend  # type: ignore[attr-defined]

    backend = create_test_backend(port=port)
    print("ready", flush=True)
    sys.stdin.read()
    backend.stop()


def work(port: int, count: int, length: int) -> dict[str, float]:
    """Be worker and client: so many instances, and one of so many steps."""
    from durabletask.client import TaskHubGrpcClient  # type: ignore[attr-defined]
    from durabletask.worker import TaskHubGrpcWorker  # type: ignore[attr-defined]

    address = f"localhost:{port}"
    with TaskHubGrpcWorker(host_address=address) as worker:
        for orchestrator in (hello, steps):
            worker.add_orchestrator(orchestrator)
        worker.add_activity(say_hello)
        worker.start()
        client = TaskHubGrpcClient(host_address=address)

        def run(_: int) -> None:
            instance_id = client.schedule_new_orchestration(hello)
            state = client.wait_for_orchestration_completion(instance_id, timeout=60)
            assert json.loads(state.serialized_output) == [f"Hello {city}!" for city in CITIES]

        with ThreadPoolExecutor(STARTERS) as pool:
            list(pool.map(run, range(STARTERS)))  # warm up
            began = time.perf_counter()
            list(pool.map(run, range(count)))
            rate = count / (time.perf_counter() - began)
        figures = {"rate": rate}
        if length:
            began = time.perf_counter()
            instance_id = client.schedule_new_orchestration(steps, input=length)
            client.wait_for_orchestration_completion(instance_id, timeout=120)
            figures["ms_per_step"] = 1000 * (time.perf_counter() - began) / length
    return figures


if __name__ == "__main__":
    if sys.argv[1] == "server":
        serve(int(sys.argv[2]))
    else:
        print(json.dumps(work(*map(int, sys.argv[2:5]))))
