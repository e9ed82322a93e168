"""Approval: wait for a person, but not for ever.

Three requests are made. The first is approved, the second rejected, the third forgotten, so it
times out and is escalated.
"""

import asyncio
import sys
from datetime import timedelta

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.worker import TaskHubWorker


@task.activity
async def send_approval_request(ctx: task.ActivityContext, request: dict) -> None:
    print(f"please approve: {request['what']}")


@task.activity
def process_approval(ctx: task.ActivityContext, request: dict) -> None:
    """Buy it."""


@task.activity
def process_rejection(ctx: task.ActivityContext, request: dict) -> None:
    """Tell whoever asked."""


@task.activity
def escalate_request(ctx: task.ActivityContext, request: dict) -> None:
    """Ask the manager."""


@task.orchestration
def request_approval(ctx: task.OrchestrationContext, request: dict):
    yield ctx.call_activity(send_approval_request, input=request)

    timeout_at = ctx.current_utc_datetime + timedelta(seconds=request["patience"])
    timer_task = ctx.create_timer(timeout_at)
    approval_task = ctx.wait_for_external_event("ApprovalReceived")

    winner = yield task.when_any([timer_task, approval_task])

    if winner == approval_task:
        timer_task.cancel()
        approval = yield approval_task
        if approval.get("approved"):
            yield ctx.call_activity(process_approval, input=request)
            return {"status": "approved"}
        yield ctx.call_activity(process_rejection, input=request)
        return {"status": "rejected"}

    yield ctx.call_activity(escalate_request, input=request)
    return {"status": "escalated"}


async def main(url: str | None) -> None:
    async with TaskHubWorker(url) as worker:
        worker.add_orchestration(request_approval)
        worker.add_activity(send_approval_request)
        worker.add_activity(process_approval)
        worker.add_activity(process_rejection)
        worker.add_activity(escalate_request)
        await worker.start()

        client = TaskHubClient(url)
        start = client.schedule_new_orchestration
        desk = await start(request_approval, input={"what": "a desk", "patience": 60})
        yacht = await start(request_approval, input={"what": "a yacht", "patience": 60})
        lamp = await start(request_approval, input={"what": "a lamp", "patience": 0.5})

        await client.raise_event(desk, "ApprovalReceived", {"approved": True})
        await client.raise_event(yacht, "ApprovalReceived", {"approved": False})

        for instance_id in (desk, yacht, lamp):
            state = await client.wait_for_orchestration_completion(instance_id)
            print(f"{state.input['what']}: {state.result['status']}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
