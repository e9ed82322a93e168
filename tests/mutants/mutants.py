"""Deliberate breakages of the engine, and the suite that has to notice each of them.

A mutant is a piece of text in one module and what stands in its place. `python -m
tests.mutants.run` applies one after the other to a copy of the sources and runs the suite.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["MUTANTS", "SUITES", "Mutant"]


def _torture(backend: str, kinds: str) -> list[str]:
    """The torture with what a mutant cannot stand."""
    return [
        *("-m", "tests.integration.torture.run", "--backend", backend, "--kinds", kinds),
        *("--only", "account", "--troubles", "60", "--minutes", "2", "--seed", "3", "--first"),
    ]


SUITES: dict[str, list[str]] = {
    "simulation": [
        *("-m", "durabletask.testing.simulation"),
        *("--seeds", "0:1000", "--first", "--jobs", "1"),
    ],
    "store kit": [
        *("-m", "pytest", "-qx", "tests/conformance/test_memory_store.py"),
        *("-k", "not RealTime and not random_histories and not dies_at_each"),
    ],
    "random histories": [
        *("-m", "pytest", "-qx", "tests/conformance/test_memory_store.py"),
        *("-k", "not RealTime and random_histories"),
        *("--hypothesis-profile=thorough", "--timeout=200"),
    ],
    "backend kit": ["-m", "pytest", "-qx", "tests/conformance/test_memory_backend.py"],
    "engine": ["-m", "pytest", "-qx", "tests/unit/engine"],
    "versions": ["-m", "pytest", "-qx", "tests/unit/test_versions.py"],
    "machinery": ["-m", "pytest", "-qx", "tests/unit/store", "tests/unit/worker"],
    "sidecar": [
        *("-m", "pytest", "-qx", "tests/integration/grpc/test_streams.py"),
        *("tests/integration/grpc/test_slow_store.py", "tests/integration/grpc/entities"),
    ],
    "PostgreSQL": [
        *("-m", "pytest", "-qx", "tests/integration/test_postgres_torture.py"),
        *("-k", "late_request or the_key_of_history"),
    ],
    "Redis": ["-m", "pytest", "-qx", "tests/redis/test_barriers.py", "-k", "the_scripts_hold"],
    "Redis losses": ["-m", "pytest", "-qx", "tests/redis/test_losses.py"],
    "torture (PostgreSQL)": _torture("postgresql://", "late,swallow"),
    "torture (Redis)": _torture("redis://", "late,swallow"),
}
"""What Python is given to run each suite, from the root of the repository."""


class Mutant(NamedTuple):
    """One breakage.

    Attributes:
        name: what is broken.
        module: the file below the namespace.
        old, new: the text that stands there, and the text in its place.
        suites: each of them has to fail.
        places: how often the text stands there.
        also: another text that stands there once, and the text in its place.
    """

    name: str
    module: str
    old: str
    new: str
    suites: tuple[str, ...]
    places: int = 1
    also: tuple[str, str] | None = None


MUTANTS = [
    Mutant(
        "no epoch check",
        "stores/memory/hub.py",
        "if lane is None or lane.epoch != key.epoch:",
        "if lane is None:",
        ("store kit", "random histories", "simulation"),
    ),
    Mutant(
        "no sequence check",
        "stores/memory/commit.py",
        "if sequence != turn.sequence:",
        "if False:",
        ("store kit", "random histories"),
    ),
    Mutant(
        "no owner check",
        "stores/memory/commit.py",
        "elif row is not None and row.owner == lane.lane_id:",
        "elif row is not None:",
        ("store kit", "random histories"),
    ),
    Mutant(
        "half a batch is written",
        "stores/memory/commit.py",
        "    _check_turns(hub, lane, batch, refused)\n",
        "    for message in batch.messages:\n        hub.deliver(message, hub.clock())\n"
        "    _check_turns(hub, lane, batch, refused)\n",
        ("store kit", "random histories", "simulation"),
    ),
    Mutant(
        "consumed messages are not checked",
        "stores/memory/commit.py",
        "if row is None or message_id not in row.inbox or message_id in used:",
        "if False:",
        ("store kit",),
    ),
    Mutant(
        "a look-up does not raise the epoch",
        "stores/memory/lanes.py",
        "    lane.epoch += 1\n",
        "",
        ("store kit", "random histories", "simulation"),
    ),
    Mutant(
        "the token of a claim is not checked",
        "stores/memory/hub.py",
        "return activity if activity is not None and activity.token == token != 0 else None",
        "return activity",
        ("store kit",),
    ),
    Mutant(
        "messages for an execution that is over are delivered",
        "stores/memory/hub.py",
        "or (bound is not None and bound != row.execution_id):",
        "or False:",
        ("store kit",),
    ),
    Mutant(
        "timers fire early",
        "store/turn.py",
        "            visible_at=timer.fire_at,\n",
        "            visible_at=timer.fire_at - 20_000,\n",
        ("simulation",),
    ),
    Mutant(
        "unknown is taken for not applied",
        "store/lane.py",
        "                unknown = True\n",
        "                unknown = False\n",
        ("machinery", "simulation"),
    ),
    Mutant(
        "unknown is taken for applied",
        "store/lane.py",
        "                    if applied is not None:\n                        return applied\n",
        "                    return applied or CommitResult()\n",
        ("machinery", "simulation"),
    ),
    Mutant(
        "what clients asked for is lost with the lane",
        "store/lane.py",
        "                self.pending.prepend(unsent)\n",
        "                pass\n",
        ("machinery", "simulation"),
    ),
    Mutant(
        "what is in doubt is sent again",
        "store/doubt.py",
        "    if refuted:\n",
        "    if True:\n",
        ("machinery",),
    ),
    Mutant(
        "a commit overtakes one in doubt",
        "store/lane.py",
        "        if self._unsettled is not None:  #",
        "        if False:  #",
        ("machinery",),
    ),
    Mutant(
        "a refusal during a look-up is taken for a loss",
        "store/lane.py",
        "        async with self._replacing:\n            if self.key is None",
        "        if True:\n            if self.key is None",
        ("machinery",),
    ),
    Mutant(
        "effects before the commit",
        "store/source.py",
        "        instance.phase = Phase.COMMITTING\n        pending.turns.append(turn)\n",
        "        instance.phase = Phase.COMMITTING\n        pending.turns.append(turn)\n"
        "        self.holdings.start_activities(instance, local)\n",
        ("backend kit", "simulation"),
    ),
    Mutant(
        'the inbox is read by "id > last"',
        "store/instance.py",
        "        held = {*self.inbox_messages, *self.taken, *handled}\n",
        "        held = {*self.inbox_messages, *self.taken, *handled}\n"
        "        last = _last.get(self.instance_id, 0)\n"
        "        messages = [m for m in messages if m.message_id > last]\n"
        "        _last[self.instance_id] = max((m.message_id for m in messages), default=last)\n",
        ("backend kit", "simulation"),
    ),
    Mutant(
        "an outcome is counted twice",
        "store/instance.py",
        "        if task_id not in self.outstanding:\n            return False\n"
        "        self.outstanding.remove(task_id)\n",
        "        self.outstanding.discard(task_id)\n",
        ("backend kit",),
    ),
    Mutant(
        "busy is never stored",
        "store/source.py",
        "            busy=instance.unrecorded > 0,\n",
        "            busy=False,\n",
        ("backend kit", "simulation"),
    ),
    Mutant(
        "interrupted activities are forgotten",
        "store/intake.py",
        "        local = [event for event in missing if performs(event.name)]\n",
        "        missing = local = []\n",
        ("backend kit", "simulation"),
    ),
    Mutant(
        "queued activities are run once more",
        "store/intake.py",
        "            if task_id not in row.queued and task_id not in arrived\n",
        "            if task_id not in arrived\n",
        ("backend kit",),
    ),
    Mutant(
        "the parent is not told",
        "store/source.py",
        "if outcome.completion is not None and instance.parent is not None:",
        "if False:",
        ("backend kit", "simulation"),
    ),
    Mutant(
        "the clock of orchestrators goes back",
        "store/source.py",
        "OrchestratorStarted(now if now > clock else clock)",
        "OrchestratorStarted(now)",
        ("simulation",),
    ),
    Mutant(
        "who waits does not hear of a loss",
        "store/holdings.py",
        "        self._lost(instance.instance_id)\n",
        "",
        ("machinery", "simulation"),
    ),
    Mutant(
        "what nobody waits for is lost",
        "store/source.py",
        "        if outcome.ended and instance.outstanding:\n",
        "        if False:\n",
        ("backend kit",),
    ),
    Mutant(
        "sessions go on by number alone",
        "worker/sessions.py",
        "            item.continues\n            and session",
        "            session",
        ("machinery",),
    ),
    Mutant(
        "no disposal",
        "engine/session.py",
        "        self.ledger.closed = self.ledger.muted = True\n        self.body.close()\n",
        "        self.ledger.closed = True\n",
        ("engine", "backend kit"),
    ),
    Mutant(
        "events are not carried over",
        "engine/session.py",
        "carryover = self.ledger.events.unconsumed() if continuation.save_events else ()",
        "carryover = ()",
        ("engine", "backend kit", "simulation"),
    ),
    Mutant(
        "a rewind replaces whatever is there",
        "stores/memory/rewind.py",
        "if current != new.expected or (row is not None and row.status not in FINISHED_STATUSES):",
        "if False:",
        ("store kit",),
    ),
    Mutant(
        "a rewound child reports to its parent of old",
        "store/rewinding.py",
        "parent = failed.parent or started.parent",
        "parent = started.parent",
        ("backend kit", "simulation"),
    ),
    Mutant(
        "compensations outlive a rewind",
        "engine/rewind.py",
        "    if culprit < start:\n",
        "    if False:\n",
        ("engine", "backend kit"),
    ),
    Mutant(
        "what runs again is another call",
        "engine/rewind.py",
        "event, origin=news.execution_id)",
        "event)",
        ("engine", "backend kit", "simulation"),
    ),
    Mutant(
        "replay is not checked to its end",
        "engine/session.py",
        "        check_all_confirmed(self)\n",
        "",
        ("engine", "backend kit"),
    ),
    Mutant(
        "a locked entity is open to all",
        "engine/entity.py",
        "        if lock is None:\n            return deque(self._queue)\n",
        "        if True:\n            return deque(self._queue)\n",
        ("engine", "backend kit", "simulation"),
    ),
    Mutant(
        "every execution of the holder holds the lock",
        "engine/entity.py",
        "isinstance(request, EntityOperationCalled) and request.caller == lock.caller",
        "isinstance(request, EntityOperationCalled)",
        ("engine", "simulation"),
    ),
    Mutant(
        "the last request comes first",
        "engine/entity.py",
        "            return deque(self._queue)\n",
        "            return deque(reversed(self._queue))\n",
        ("engine", "backend kit", "simulation"),
    ),
    Mutant(
        "an operation that fails leaves its state behind",
        "engine/entity_operations.py",
        "            results.append(OperationResult(failure=failure))\n",
        "            results.append(OperationResult(failure=failure))\n"
        "            state = context.text\n",
        ("engine", "backend kit", "simulation"),
    ),
    Mutant(
        "what an entity continues with lacks its queue",
        "engine/entity.py",
        "_Snapshot(self.state, self.lock, self.waiting)",
        "_Snapshot(self.state, self.lock)",
        ("engine",),
    ),
    Mutant(
        "locks outlive their execution",
        "store/source.py",
        "            self.entities.unlock(instance)\n",
        "            pass\n",
        ("backend kit", "simulation"),
    ),
    Mutant(
        "locks taken elsewhere are not known here",
        "store/intake.py",
        "    return locks or NO_LOCKS\n",
        "    return NO_LOCKS\n",
        ("backend kit", "simulation"),
    ),
    Mutant(
        "giving up does not follow the request",
        "store/entity_turns.py",
        "lock_id, caller, tuple(following))",
        "lock_id, caller)",
        ("backend kit", "simulation"),
    ),
    Mutant(
        "whoever asks takes the entity for granted",
        "store/entity_turns.py",
        "        if is_here or entity_id in pending.summoned:\n",
        "        if True:\n",
        ("backend kit", "simulation"),
    ),
    Mutant(
        "an entity with messages is removed",
        "stores/memory/query.py",
        "        and not (row.runnable or row.hidden or hub.queued.get(instance_id))\n",
        "",
        ("store kit", "simulation"),
    ),
    Mutant(
        "the memory of an entity is not read",
        "store/intake.py",
        "        entity.memory.recall(decode_history(chunks))\n",
        "",
        ("backend kit", "simulation"),
    ),
    Mutant(
        "a rewind believes in locks of old",
        "engine/rewind.py",
        "    if locks:\n",
        "    if False:\n",
        ("engine",),
    ),
    Mutant(
        "polls forget what a lane refuses",
        "stores/memory/poll.py",
        "elif version not in refused:",
        "else:",
        ("store kit", "random histories", "machinery"),
    ),
    Mutant(
        "versions are not looked at by lanes",
        "store/repertoire.py",
        'if rule is None or name.startswith("@") or rule.takes(version):',
        "if True:",
        ("backend kit", "machinery", "simulation"),
    ),
    Mutant(
        "a new version stays with its lane",
        "store/settlement.py",
        "if not self._left(instance):",
        "if True:",
        ("backend kit", "machinery", "simulation"),
    ),
    Mutant(
        "what is left to others is not busy any more",
        "store/source.py",
        "self.lane.pending.released.append((instance, instance.busy))",
        "self.lane.pending.released.append((instance, False))",
        ("simulation",),
    ),
    Mutant(
        "versions are ordered as texts",
        "versions.py",
        "if left is None or right is None:",
        "if True:",
        ("backend kit", "versions"),
    ),
    Mutant(
        "a patch leaves no mark",
        "engine/ledger.py",
        "if is_new and answer:",
        "if False:",
        ("engine", "backend kit", "simulation"),
    ),
    Mutant(
        "a patch is applied to turns that have happened",
        "engine/ledger.py",
        "not (is_new and self.replaying)",
        "True",
        ("engine", "backend kit", "simulation"),
    ),
    Mutant(
        "the answer about a patch is forgotten",
        "engine/ledger.py",
        "answer = self.patches.get(patch_id)",
        "answer = None",
        ("engine", "backend kit", "simulation"),
    ),
    Mutant(
        "the marks of patches are not looked up",
        "engine/session.py",
        "self.ledger.replayed = history",
        "pass",
        ("engine", "backend kit", "simulation"),
    ),
    Mutant(
        "PostgreSQL: no epoch check",
        "postgres/migrations/0003_commit.sql",
        "WHERE lane_id = p_lane AND epoch = p_epoch AND hub = p_hub",
        "WHERE lane_id = p_lane AND hub = p_hub",
        ("PostgreSQL", "torture (PostgreSQL)"),
        places=5,
    ),
    # The torture cannot see this: whoever would write a turn twice has an epoch that is over.
    Mutant(
        "PostgreSQL: no key of turns",
        "postgres/migrations/0001_tables.sql",
        "    chunk bytea NOT NULL,\n    PRIMARY KEY (instance, sequence)\n);\n",
        "    chunk bytea NOT NULL\n);\n"
        "CREATE INDEX history_pkey ON history (instance, sequence);\n",
        ("PostgreSQL",),
    ),
    Mutant(
        "PostgreSQL: a look-up does not look",
        "postgres/migrations/0002_lanes.sql",
        "    IF v_batch = p_number THEN\n",
        "    IF false THEN\n",
        ("torture (PostgreSQL)",),
    ),
    # Alone, the torture cannot see this: a late request does not follow the last batch either.
    Mutant(
        "Redis: no epoch check",
        "redis/lua/commit.lua",
        "if standing[1] ~= epoch then",
        "if not standing[1] then",
        ("Redis",),
    ),
    Mutant(
        "Redis: no epoch check, and no count of batches",
        "redis/lua/commit.lua",
        "if standing[1] ~= epoch then",
        "if not standing[1] then",
        ("torture (Redis)",),
        also=("if standing[2] ~= acknowledged then", "if false then"),
    ),
    # The torture cannot see the next two: a batch that does not fit its turns has an epoch that is
    # over, or follows one that the server has lost, and is refused for that.
    Mutant(
        "Redis: no count of turns",
        "redis/lua/commit.lua",
        "if tip.turns ~= sequence then",
        "if false then",
        ("Redis",),
    ),
    Mutant(
        "Redis: no count at all",
        "redis/lua/commit.lua",
        "if tip.turns ~= sequence then",
        "if false then",
        ("Redis losses",),
        also=("if standing[2] ~= acknowledged then", "if false then"),
    ),
    Mutant(
        "Redis: no first pass",
        "redis/lua/commit.lua",
        "  for first = 1, #consumed, AT_ONCE do\n    local last",
        "  call('RPUSH', history_key(id), turn[4])\n"
        "  for first = 1, #consumed, AT_ONCE do\n    local last",
        ("Redis",),
        also=(
            "  call('RPUSH', history_key(id), turn[4])\n  call('HSET', instance_key",
            "  call('HSET', instance_key",
        ),
    ),
    Mutant(
        "Redis: a look-up does not look",
        "redis/lua/resolve.lua",
        "row[2] == ARGV[3] and 1 or 0",
        "0",
        ("torture (Redis)",),
    ),
    Mutant(
        "a hand-over counts twice",
        "grpc/sidecar/desk.py",
        "        self._forget(delivery)\n        if self._refusals:\n",
        "        if self._refusals:\n",
        ("sidecar",),
    ),
    Mutant(
        "a lost stream keeps its turns",
        "grpc/sidecar/desk.py",
        "                self._forget(delivery)\n"
        "                self._strike(delivery, delivery.item)\n",
        "                pass\n",
        ("sidecar",),
    ),
    Mutant(
        "deaths are not added up",
        "grpc/sidecar/desk.py",
        "strikes = self._strikes.pop(item.instance_id, 0) + 1",
        "strikes = 1",
        ("sidecar",),
    ),
    Mutant(
        "the last word of a lost stream is not heard",
        "grpc/sidecar/desk.py",
        "self._options.linger if lingering else self._options.drain_timeout",
        "self._options.linger if lingering else 0.0",
        ("sidecar",),
    ),
    Mutant(
        "closing waits for lost streams",
        "grpc/sidecar/desk.py",
        "        closing = stream not in self._streams\n",
        "        closing = stream not in self._streams\n        if closing:\n            return\n",
        ("sidecar",),
    ),
]
"""What has to be noticed."""
