"""The client's process: starts an orchestration by its name, and needs none of its code.

Start ``worker.py`` in another terminal, before or after this:

    python examples/two_processes/client.py
"""

import asyncio
import sys

from durabletask.client import TaskHubClient


async def main(url: str | None) -> None:
    async with TaskHubClient(url) as client:
        instance_id = await client.schedule_new_orchestration("serve", input=["tea", "coffee"])
        await client.raise_event(instance_id, "Fetched")
        state = await client.wait_for_orchestration_completion(instance_id, timeout=60)
        print(state.runtime_status.name, state.result)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
