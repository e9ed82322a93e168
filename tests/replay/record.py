"""Records golden histories: `python -m tests.replay.record NAME...` from the root.

It writes a file that does not exist and never replaces one. A golden history is what some version
of this library has written and what every later version has to go on with: if today's engine does
not repeat one, the engine is wrong. Only a history that no release has ever written may go, and
then by hand.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec

from durabletask.history import decode_history
from durabletask.state import FailureDetails
from durabletask.task._decorators import definition_of
from durabletask.testing import OrchestrationTester, save_history
from durabletask.worker import VersioningOptions, WorkerOptions

from .programs import (
    ENTITIES,
    ENTITY_RECORDINGS,
    ORCHESTRATORS,
    RECORDINGS,
    break_down,
    double,
)

HISTORIES = Path(__file__).parent / "histories"


async def record(name: str) -> None:
    """Play the recording of this name and save its history."""
    folder = HISTORIES if name in RECORDINGS else HISTORIES / "entities"
    path = folder / f"{name}.json"
    if path.exists():
        raise SystemExit(f"{path} exists, and golden histories are never written anew")
    former = RECORDINGS[name].former if name in RECORDINGS else None
    versioning = VersioningOptions(default_version="0.9")
    options = WorkerOptions(max_cached_sessions=0, versioning=versioning)
    async with OrchestrationTester(options=options) as tester:
        for entity in ENTITIES:
            tester.add_entity(entity)
        for orchestrator in ORCHESTRATORS:
            played = orchestrator
            if former is not None and definition_of(former).name == definition_of(played).name:
                played = former
            tester.add_orchestration(played)
        tester.add_activity(double)
        tester.add_activity(break_down)
        tester.mock_activity("flaky", sequence=[OSError("once"), OSError("twice"), 14])
        if name in RECORDINGS:
            instance_id = await RECORDINGS[name].play(tester)
            save_history(path, [pathless(event) for event in await tester.history(instance_id)])
        else:
            await save_entity(tester, name)
    print(path)


async def save_entity(tester: OrchestrationTester, name: str) -> None:
    """Play the recording of an entity; save where its execution began, and its history."""
    entity_id = str(await ENTITY_RECORDINGS[name].play(tester))
    await tester.settle()
    store = tester._hub._memory
    row = (await store.get_instances([entity_id], payloads=True))[entity_id]
    [chunks] = await store.read_history([(entity_id, row.execution_id)])
    path = HISTORIES / "entities" / f"{name}.json"
    save_history(path, [pathless(event) for event in decode_history(chunks)])
    if row.input is not None:
        path.with_suffix(".input").write_text(row.input, "utf-8")


def pathless(record: Any) -> Any:
    """The event, or the failure in it, without stack traces: they hold paths of the machine."""
    changes: dict[str, Any] = {}
    for field in ("failure", "cause"):
        if getattr(record, field, None) is not None:
            changes[field] = pathless(getattr(record, field))
    if isinstance(record, FailureDetails):
        changes["stack_trace"] = None
    return msgspec.structs.replace(record, **changes)


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        asyncio.run(record(wanted))
