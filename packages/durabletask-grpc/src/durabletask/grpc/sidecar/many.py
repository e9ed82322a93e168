"""Our own rpcs for clients: starts and waits, many in one call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from durabletask.errors import DurableTaskError
from durabletask.grpc.convert import state_message
from durabletask.grpc.protocol import batches, pb
from durabletask.grpc.sidecar.calls import status_of
from durabletask.grpc.sidecar.instances import start

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from durabletask.backend import Backend
    from durabletask.grpc.sidecar.calls import Call

__all__ = ["start_instances", "wait_for_completions"]

_BYTES = 1024 * 1024
"""Of a message with answers, unless a single one is larger."""


async def start_instances(call: Call, request: batches.Starts) -> batches.Answers:
    """Start each; one that cannot be started does not keep the others from it."""
    answers = await asyncio.gather(*(_start(call, packed) for packed in request.requests))
    return batches.Answers(answers=answers)


async def _start(call: Call, packed: bytes) -> batches.Answer:
    try:
        response = await start(call, pb.CreateInstanceRequest.FromString(packed))
    except (DurableTaskError, ValueError, DecodeError) as error:
        return _failure("", error)
    return batches.Answer(response=response.SerializeToString())


def _failure(instance_id: str, error: Exception) -> batches.Answer:
    code, details = status_of(error)
    return batches.Answer(instance_id=instance_id, code=code.value[0], details=details)


async def wait_for_completions(
    call: Call, request: batches.Awaited
) -> AsyncGenerator[batches.Answers, None]:
    """Answer each when it has finished, several at a time if they do so together."""
    backend = call.hub.backend
    waits = {asyncio.ensure_future(_wait(backend, name)) for name in set(request.instance_ids)}
    try:
        while waits:
            done, waits = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            answers, size = batches.Answers(), 0
            for task in done:
                answer = task.result()
                if size and size + len(answer.response) > _BYTES:
                    yield answers
                    answers, size = batches.Answers(), 0
                answers.answers.append(answer)
                size += len(answer.response)
            yield answers
    finally:
        for task in waits:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def _wait(backend: Backend, instance_id: str) -> batches.Answer:
    try:
        state = await backend.wait_for_completion(instance_id, None)
    except DurableTaskError as error:
        return _failure(instance_id, error)
    response = pb.GetInstanceResponse(exists=True, orchestrationState=state_message(state))
    return batches.Answer(instance_id=instance_id, response=response.SerializeToString())
