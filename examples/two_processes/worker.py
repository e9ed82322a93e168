"""The worker's process: runs orchestrations until it is told to stop.

Start it in one terminal, and ``client.py`` in another:

    python examples/two_processes/worker.py
"""

import asyncio
import logging
import sys

from durabletask import task
from durabletask.worker import TaskHubWorker


@task.activity
def brew(ctx: task.ActivityContext, drink: str) -> str:
    return f"a cup of {drink}"


@task.orchestration(name="serve")
def serve(ctx: task.OrchestrationContext, drinks: list[str]):
    cups = yield task.when_all([ctx.call_activity(brew, input=drink) for drink in drinks])
    ctx.set_custom_status("on the tray")
    yield ctx.wait_for_external_event("Fetched")
    return cups


async def main(url: str | None) -> None:
    worker = TaskHubWorker(url)
    worker.add_orchestration(serve)
    worker.add_activity(brew)
    await worker.run()  # until Ctrl-C or SIGTERM
    print("stopped; what was not finished goes on when a worker starts again")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
