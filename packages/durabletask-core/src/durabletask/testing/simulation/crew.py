"""The processes of a simulation: they start, die, and start again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from durabletask.errors import BackendClosedError, BackendUnavailableError
from durabletask.store import StoreBackend
from durabletask.testing.simulation.store import SimulatedStore
from durabletask.testing.simulation.worker import SimulatedClient, SimulatedWorker

if TYPE_CHECKING:
    from durabletask.testing.simulation.evidence import Evidence
    from durabletask.testing.simulation.program import Program
    from durabletask.testing.simulation.server import Server
    from durabletask.testing.simulation.settings import Settings
    from durabletask.testing.simulation.world import Process, World

__all__ = ["Crew"]

_TOO_LATE = (BackendUnavailableError, BackendClosedError, TimeoutError)
"""What a client in a process that is cut off or stopped has to expect."""


class Crew:
    """Starts and ends the processes of one simulation.

    Attributes:
        finished: the client's part has been played.
        error: what it raised.
        ending: no process is started any more.
        deaths: how many processes were killed, or stopped without much patience.
    """

    def __init__(
        self, world: World, server: Server, program: Program, evidence: Evidence, settings: Settings
    ) -> None:
        self.finished = False
        self.error: BaseException | None = None
        self.ending = False
        self.deaths = 0
        self._world = world
        self._server = server
        self._program = program
        self._evidence = evidence
        self._settings = settings
        self._up: dict[str, SimulatedWorker] = {}
        self._assisting: set[Process] = set()
        self._leaving: dict[str, asyncio.Future[float]] = {}

    @property
    def complete(self) -> bool:
        """Whether every worker is at work, nobody assists, and no process stands still."""
        return (
            all(name in self._up for name in self._settings.workers)
            and not self._assisting
            and not any(process.pauses for process in self._world.processes.values())
        )

    @property
    def gone(self) -> bool:
        """Whether no worker is left."""
        return not self._up

    def _backend(self, process: Process) -> StoreBackend:
        store = SimulatedStore(self._server, process, embedded=self._settings.embedded)
        return StoreBackend(store, self._settings.store, chance=process.chance)

    # --- workers -------------------------------------------------------------------------------

    def start_worker(self, name: str) -> None:
        """Start a worker process, unless all is ending."""
        if not self.ending:
            process = self._world.new_process(name)
            self._world.note(name, "starts")
            process.spawn(self._work(process), "main")

    async def _work(self, process: Process) -> None:
        backend = self._backend(process)
        options = self._program.options_of(process.name, self._settings.worker)
        worker = SimulatedWorker(process, backend, options, self._evidence)
        for orchestration in self._program.orchestrations_of(process.name):
            worker.add_orchestration(orchestration)
        for activity in self._program.activities:
            worker.add_activity(activity)
        for entity in self._program.entities:
            worker.add_entity(entity)
        leaving = self._leaving[process.name] = process.loop.create_future()
        while True:
            try:
                await worker.start()
                break
            except BackendUnavailableError:
                await asyncio.sleep(0.5)
        self._up[process.name] = worker
        self._assisting.add(process)
        assisting = asyncio.create_task(self._assist(process, backend), name="assist")
        timeout = await leaving
        await worker.stop(timeout)
        assisting.cancel()
        await asyncio.gather(assisting, return_exceptions=True)
        await backend.close()
        self._world.note(process.name, "has stopped")
        self._server.leave(process)
        del self._up[process.name]

    async def _assist(self, process: Process, backend: StoreBackend) -> None:
        try:
            async with SimulatedClient(backend, self._evidence) as client:
                await self._program.assist(client)
        except _TOO_LATE:
            pass
        except Exception as error:
            self._evidence.violations.append(f"assisting has failed: {error!r}")
        finally:
            self._assisting.discard(process)

    def crash(self, name: str, down: float) -> None:
        """Kill a worker process, as kill -9 does, and start another after ``down`` seconds."""
        process = self._world.processes[name]
        if process.is_alive:
            self.deaths += 1
            self._world.note(name, "is killed")
            process.kill()
            self.bury(process)
        self._world.after(down, lambda: self._start_again(name))

    def bury(self, process: Process) -> None:
        """A process has died: forget what it held."""
        self._server.leave(process)
        self._assisting.discard(process)
        worker = self._up.pop(process.name, None)
        if worker is not None:
            worker.dispose()

    def _start_again(self, name: str) -> None:
        if not self._world.processes[name].is_alive:
            self.start_worker(name)

    def stop(self, name: str, timeout: float) -> None:
        """Ask a worker that is at work to stop in peace."""
        leaving = self._leaving.get(name)
        if name in self._up and leaving is not None and not leaving.done():
            self._world.note(name, "is asked to stop")
            process = self._world.processes[name]
            process.happens(lambda: None if leaving.done() else leaving.set_result(timeout))

    def restart(self, name: str, timeout: float) -> None:
        """Stop a worker in peace, and start another when it is gone."""
        if name in self._up:
            self.deaths += 1
            self.stop(name, timeout)
            self._when_gone(name, self._world.processes[name])

    def _when_gone(self, name: str, former: Process) -> None:
        if self._world.processes[name] is not former or self.ending:
            return
        if name in self._up and former.is_alive:
            self._world.after(0.05, lambda: self._when_gone(name, former))
        elif former.is_alive:
            former.kill()
            self.start_worker(name)

    # --- the client ----------------------------------------------------------------------------

    def start_client(self, name: str) -> None:
        """Start the process whose client plays the program."""
        process = self._world.new_process(name, is_mortal=False)
        process.spawn(self._play(process), "main")

    async def _play(self, process: Process) -> None:
        backend = self._backend(process)
        try:
            async with SimulatedClient(backend, self._evidence) as client:
                await self._program.play(client)
        except Exception as error:
            self.error = error
        self._world.note(process.name, "has played its part")
        self.finished = True
