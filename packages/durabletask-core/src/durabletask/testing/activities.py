"""The activities of a test: the real ones, and those that stand in for them."""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import TYPE_CHECKING, Any

from durabletask.errors import ConfigurationError
from durabletask.task._decorators import definition_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Activities", "ActivityMock"]


class ActivityMock:
    """Stands in for an activity and notes how it is called.

    Attributes:
        name: of the activity.
        calls: the inputs of all calls so far, in order; None where there was none. Inputs have
            the type that the mocked function's annotation says, or are plain JSON data if the
            activity was mocked by name.
    """

    def __init__(self, name: str, act: Callable[..., Any]) -> None:
        self.name = name
        self.calls: list[Any] = []
        self._act = act

    def __call__(self, *arguments: Any) -> Any:
        self.calls.append(arguments[1] if len(arguments) > 1 else None)
        return self._act(*arguments)


class Activities:
    """Runs activities on the event loop, so that their order is the same at every run.

    Attributes:
        running: how many have begun and not ended; those only wait for something outside.
        fault: what is wrong with the test itself, if anything.
    """

    def __init__(self) -> None:
        self.running = 0
        self.fault: Exception | None = None
        self._mocks: dict[str, ActivityMock] = {}
        self._wrapped: dict[str, tuple[object, Callable[..., Any]]] = {}
        self._ended = asyncio.Event()

    def wrap(self, activity: Callable[..., Any], name: str | None) -> Callable[..., Any]:
        """What to register in place of ``activity``, with the same name and signature."""
        if not callable(activity):
            return activity  # the registry has the words for it
        name = name or definition_of(activity).name
        known, wrapper = self._wrapped.get(name, (None, activity))
        if known is not activity:
            wrapper = self._wrapper(activity, name)
            self._wrapped.setdefault(name, (activity, wrapper))
        return wrapper

    def _wrapper(self, activity: Callable[..., Any], name: str) -> Callable[..., Any]:
        @functools.wraps(activity)
        async def run(*arguments: Any) -> Any:
            self.running += 1
            try:
                result = self._mocks.get(name, activity)(*arguments)
                return await result if inspect.isawaitable(result) else result
            finally:
                self.running -= 1
                self._ended.set()

        return run

    def add_mock(self, name: str, act: Callable[..., Any]) -> ActivityMock:
        """Let ``act`` answer the calls of this name from now on."""
        mock = self._mocks[name] = ActivityMock(name, act)
        return mock

    def knows(self, name: str) -> bool:
        """Whether an activity of this name is registered."""
        return name in self._wrapped

    async def one_ended(self) -> None:
        """Wait until an activity ends."""
        self._ended.clear()
        await self._ended.wait()

    def in_turn(self, name: str, outcomes: Iterable[Any]) -> Callable[..., Any]:
        """Give one outcome after another: raise what is an exception, return the rest."""
        rest = iter([*outcomes])

        def act(*arguments: Any) -> Any:
            try:
                outcome = next(rest)
            except StopIteration:
                self.fault = ConfigurationError(
                    f"the mock of activity {name!r} was called once more than it has outcomes: "
                    "give it as many as there are calls, retries included"
                )
                raise self.fault from None
            return outcome_of(outcome)

        return act


def outcome_of(outcome: Any) -> Any:
    """Raise ``outcome`` if it is an exception or a class of such, else return it."""
    if isinstance(outcome, BaseException):
        raise outcome.with_traceback(None)
    if isinstance(outcome, type) and issubclass(outcome, BaseException):
        raise outcome
    return outcome
