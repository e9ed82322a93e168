"""The orchestrator's function at work."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Coroutine, Generator
from types import CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any

import msgspec

from durabletask.errors import ArgumentTypeError
from durabletask.task._tasks import COMPLETED, FAILED, Task

if TYPE_CHECKING:
    from durabletask.engine.ledger import Ledger

__all__ = ["Body", "Continued", "Ending", "Raised", "Returned"]

_log = logging.getLogger("durabletask.engine")

# The usual types first: they are found without asking the abstract ones.
_RUNNING = (GeneratorType, CoroutineType, Generator, Coroutine)

# A generator may answer being closed with another yield. How often that is put up with.
_PATIENCE = 100

# Bodies that refused to be closed. They are kept for good: dropped, they would be closed once more
# whenever memory is collected, and user code would run at a random time in a random thread.
unclosable: list[Callable[[], None]] = []


class Returned(msgspec.Struct, frozen=True):
    """The function returned ``value``."""

    value: Any


class Raised(msgspec.Struct, frozen=True):
    """The function raised ``error``."""

    error: BaseException


class Continued(msgspec.Struct, frozen=True):
    """The function waits again, but has called continue_as_new before."""


Ending = Returned | Raised | Continued


_NEVER: Task[Any] = Task()
_AT_ONCE: Task[Any] = Task()
_AT_ONCE._settle(COMPLETED, None)


class Body:
    """Drives a generator or a coroutine from one unfinished task to the next.

    Both have the same ``send``, ``throw`` and ``close``, so there is one way to drive them.

    Attributes:
        awaiting: the task at which the function is suspended. Whoever settles a task looks here
            whether it is time to :meth:`advance`.
    """

    __slots__ = ("_ledger", "_running", "awaiting")

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.awaiting = _NEVER
        self._running: Generator[Any, Any, Any] | Coroutine[Any, Any, Any] | None = None

    def start(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Ending | None:
        """Call the function and run it to its first unfinished task.

        Returns:
            None while it waits, else how it ended.
        """
        try:
            running = function(*arguments)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            return Raised(error)
        if not isinstance(running, _RUNNING):
            return Returned(running)
        self._running = running
        self.awaiting = _AT_ONCE
        return self.advance()

    def advance(self) -> Ending | None:
        """Run on from ``awaiting``, which has finished, to the next unfinished task.

        Returns:
            None while the function waits, else how it ended.
        """
        task = self.awaiting
        running = self._running
        ledger = self._ledger
        assert running is not None
        try:
            while task._status:
                if task._status == COMPLETED:
                    task = running.send(task._outcome)
                else:
                    # The traceback of an earlier raise is no part of this one.
                    task = running.throw(task._outcome.with_traceback(None))
                if ledger.closed:
                    return Continued()
                if not isinstance(task, Task):
                    task = _refusal(task)
        except StopIteration as stop:
            return Returned(stop.value)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            return Raised(error)
        self.awaiting = task
        return None

    def close(self) -> None:
        """Run the function's ``finally`` blocks now, in this thread, not when memory is collected.

        They run after the ledger was closed. GeneratorExit is thrown through user code for this;
        it derives from BaseException, so that ``except Exception`` lets it pass. Whatever the
        blocks raise is logged and goes no further.
        """
        running, self._running = self._running, None
        if running is None:
            return
        close = running.close
        for _ in range(_PATIENCE):
            try:
                close()
            except RuntimeError:
                continue  # it has yielded once more; being asked again it will come to its end
            except Exception:
                _log.warning("an orchestrator raised while it was being closed", exc_info=True)
            return
        unclosable.append(close)
        _log.warning(
            "an orchestrator goes on yielding though it is being closed: it is left behind"
        )


def _refusal(yielded: object) -> Task[Any]:
    """A task that throws what is wrong with ``yielded`` into the orchestrator."""
    refused: Task[Any] = Task()
    refused._settle(
        FAILED,
        ArgumentTypeError(
            f"an orchestrator yields or awaits durable tasks only, not {type(yielded).__name__}: "
            f"{_instead(yielded)}"
        ),
    )
    return refused


def _instead(yielded: object) -> str:
    """What was probably meant."""
    if yielded is None:
        return (
            "leave out a bare yield, and the yield before a call that gives nothing to wait for, "
            "such as signal_entity or send_event"
        )
    if isinstance(yielded, (list, tuple, set)) and any(isinstance(one, Task) for one in yielded):
        return "write task.when_all(...) around several tasks"
    if inspect.isgenerator(yielded):
        return "write yield from before the generator"
    return (
        "use what the context's methods, task.when_all and task.when_any return, and leave "
        "other awaitables (asyncio and I/O) to activities"
    )
