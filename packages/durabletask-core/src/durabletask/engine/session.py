"""The life of one execution in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET, UnsetType

from durabletask.actions import CompleteOrchestration, ContinueAsNew
from durabletask.backend.workitem import OrchestrationResult
from durabletask.engine.body import Body, Continued, Raised
from durabletask.engine.call import Ended
from durabletask.engine.context import RuntimeContext
from durabletask.engine.failure import failure_of
from durabletask.engine.handlers import ACTIVE, CONTINUED, FINISHED, check_all_confirmed
from durabletask.engine.ledger import Ledger
from durabletask.engine.nondeterminism import END
from durabletask.engine.termination import result_of_termination
from durabletask.errors import NonDeterminismError, SerializationError, WorkerStateError
from durabletask.serialization import DEFAULT_CONVERTER
from durabletask.state import OrchestrationStatus
from durabletask.task import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durabletask.actions import Action
    from durabletask.backend.capabilities import Capabilities
    from durabletask.engine.body import Ending
    from durabletask.engine.handlers import Table
    from durabletask.engine.registry import OrchestrationRegistration
    from durabletask.history import ExecutionStarted, HistoryEvent
    from durabletask.serialization import DataConverter

__all__ = ["OrchestrationSession"]


class OrchestrationSession:
    """One execution: first replayed if it has a history, then run turn by turn.

    It does no I/O, reads no clock but the events', and is used by one thread at a time. A session
    that continues and one that is rebuilt by ``replay`` give the same results for the same events.
    A session is over when :attr:`is_finished` or when a method has raised; call :meth:`dispose`
    on any session that is given up, finished or not.

    Args:
        registration: the orchestrator.
        converter: makes text of values and back.
        default_version: version of sub-orchestrations that are called without one.
        capabilities: of the backend, as far as orchestrators may ask for what some lack; None is
            all of that.

    Attributes:
        instance_id, execution_id: of the execution; empty before its first event was applied.
        sequence: turns applied so far.
        ledger, body, table, postponed: the engine's own.
    """

    __slots__ = (
        "_capabilities",
        "_context",
        "_converter",
        "_default_version",
        "_outcome",
        "body",
        "execution_id",
        "instance_id",
        "ledger",
        "postponed",
        "registration",
        "sequence",
        "table",
    )

    def __init__(
        self,
        registration: OrchestrationRegistration,
        converter: DataConverter = DEFAULT_CONVERTER,
        *,
        default_version: str | None = None,
        capabilities: Capabilities | None = None,
    ) -> None:
        self.registration = registration
        self._converter = converter
        self._default_version = default_version
        self._capabilities = capabilities
        self._begin()

    def _begin(self, careful: bool = False) -> None:
        self.ledger = Ledger(self._converter, careful)
        self.body = Body(self.ledger)
        self.table: Table = ACTIVE
        self.postponed: list[HistoryEvent] | None = None
        self.instance_id = self.execution_id = ""
        self.sequence = 0
        self._context: RuntimeContext | None = None
        self._outcome: CompleteOrchestration | None = None

    # --- what the worker uses ------------------------------------------------------------------

    @property
    def is_finished(self) -> bool:
        """Whether the execution has ended: completed, failed, terminated, or continued as new."""
        return self.table is FINISHED

    def replay(self, history: Sequence[HistoryEvent]) -> None:
        """Apply the committed turns of the execution to a new session.

        Inputs of calls are not serialized on the way. Only when the code does not fit the history
        is all of it done once more with care, because a call whose input could not be serialized
        then looks different.

        Raises:
            NonDeterminismError: the code does not do what history says. The session is over.
            WorkerStateError: the session is not new.
        """
        if self.sequence or self.ledger.closed:
            raise WorkerStateError("a history can only be replayed into a new session")
        try:
            self._replay(history)
        except NonDeterminismError:
            self.dispose()
            self._begin(careful=True)
            try:
                self._replay(history)
            except BaseException:
                self.dispose()
                raise
        except BaseException:
            self.dispose()
            raise

    def _replay(self, history: Sequence[HistoryEvent]) -> None:
        self.ledger.replayed = history
        self.apply(history)
        check_all_confirmed(self)
        self.ledger.replayed = ()

    def run_turn(self, events: Sequence[HistoryEvent]) -> OrchestrationResult:
        """Apply the new events of one turn; the first of them is ``OrchestratorStarted``.

        Returns:
            What the orchestrator asked for in this turn, the end of the execution last.

        Raises:
            NonDeterminismError: the events are not ones this code can have caused. The session is
                over.
            WorkerStateError: the session is over.
        """
        if self.table is FINISHED or self.ledger.muted:
            raise WorkerStateError(
                f"the session of instance {self.instance_id!r} is over: replay its history into "
                "a new one"
            )
        terminated = result_of_termination(events)
        if terminated is not None:
            self.sequence += 1
            self.finish()
            self.dispose()
            return terminated
        ledger = self.ledger
        ledger.replaying = False
        ledger.actions = {}
        ledger.custom_status = UNSET
        try:
            self.apply(events)
        except BaseException:
            self.dispose()
            raise
        actions: list[Action] = list(ledger.actions.values())
        if self.table is not FINISHED:
            return OrchestrationResult(actions, ledger.custom_status)
        return self._result_at_the_end(actions, ledger.custom_status)

    def dispose(self) -> None:
        """Close the orchestrator now, its context deaf and its loggers silent. Idempotent."""
        self.ledger.closed = self.ledger.muted = True
        self.body.close()

    # --- what the event handlers use -----------------------------------------------------------

    def apply(self, events: Sequence[HistoryEvent]) -> None:
        """Let the table of the moment handle each event."""
        for event in events:
            self.table[event.__class__](self, event)

    def start(self, started: ExecutionStarted) -> None:
        """Call the orchestrator's function, once however often history says so."""
        if self._context is not None:
            return
        self.instance_id, self.execution_id = started.instance_id, started.execution_id
        self._context = context = RuntimeContext(
            self.ledger, started, self._default_version, self._capabilities
        )
        registration = self.registration
        arguments: tuple[Any, ...] = (context,)
        if registration.takes_input and not (started.input is None and registration.has_default):
            try:
                value = self._converter.deserialize(
                    started.input, registration.input_type, where=registration.input_place
                )
            except Exception as error:
                self._end(Raised(error))
                return
            arguments = (context, value)
        ending = self.body.start(registration.function, arguments)
        if ending is not None:
            self._end(ending)

    def advance(self) -> None:
        """Let the orchestrator run on: the task it waits for has finished."""
        ending = self.body.advance()
        if ending is not None:
            self._end(ending)

    def finish(self) -> None:
        """From here on events change nothing."""
        self.table = FINISHED
        self.ledger.closed = True

    # --- the end -------------------------------------------------------------------------------

    def _end(self, ending: Ending) -> None:
        ledger = self.ledger
        self.finish()
        if isinstance(ending, Continued):
            self.body.close()
        if self._context is not None and self._context.continuation is not None:
            # An exception after continue_as_new is not lost: it still fails the instance.
            if not isinstance(ending, Raised):
                if ledger.replaying:
                    ledger.unconfirmed[END] = Ended(CONTINUED)
                return
            self._context.continuation = None
        outcome = self._outcome = self._completion(ending)
        if ledger.replaying:
            ledger.unconfirmed[END] = Ended(f"the end as {outcome.status.value}")

    def _completion(self, ending: Ending) -> CompleteOrchestration:
        ledger = self.ledger
        if isinstance(ending, Raised):
            failure = None if ledger.replaying else failure_of(ending.error)
            return CompleteOrchestration(OrchestrationStatus.FAILED, failure=failure)
        value = None if isinstance(ending, Continued) else ending.value
        if ledger.replaying and not ledger.careful:
            return CompleteOrchestration(OrchestrationStatus.COMPLETED)
        try:
            result = self._serialized_result(value)
        except Exception as error:
            return CompleteOrchestration(OrchestrationStatus.FAILED, failure=failure_of(error))
        return CompleteOrchestration(OrchestrationStatus.COMPLETED, result)

    def _serialized_result(self, value: Any) -> str | None:
        where = self.registration.result_place
        if isinstance(value, Task):
            raise SerializationError(
                f"{where} is a task that was not waited for: return (yield task) or await it"
            )
        return self._converter.serialize(value, where=where)

    def _result_at_the_end(
        self, actions: list[Action], custom_status: str | UnsetType | None
    ) -> OrchestrationResult:
        continuation = self._context.continuation if self._context else None
        if self._outcome is not None:
            actions.append(self._outcome)
        elif continuation is not None:
            carryover = self.ledger.events.unconsumed() if continuation.save_events else ()
            actions.append(ContinueAsNew(continuation.input, carryover, continuation.version))
            custom_status = None
        return OrchestrationResult(actions, custom_status)
