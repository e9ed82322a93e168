"""The decorators that mark a function or class as an orchestrator, an activity or an entity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

import msgspec

from durabletask.errors import RegistrationError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Definition", "activity", "definition_of", "entity", "orchestration"]

F = TypeVar("F", bound="Callable[..., Any]")

_ATTRIBUTE = "__durabletask_definition__"


class Definition(msgspec.Struct, frozen=True):
    """What a decorator notes about a function.

    Attributes:
        kind: ``"orchestration"``, ``"activity"`` or ``"entity"``; empty for what is undecorated.
        inline: an activity that is quick and never blocks, run without a thread of its own.
    """

    name: str
    kind: str = ""
    version: str | None = None
    inline: bool = False


@overload
def orchestration(function: F, /) -> F: ...
@overload
def orchestration(*, name: str | None = None, version: str | None = None) -> Callable[[F], F]: ...
def orchestration(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    version: str | None = None,
) -> Any:
    """Mark a function as an orchestrator; it stays the same, callable function.

    Use it bare or with arguments. The function takes the context and, if it wants it, the input;
    it is a generator, an ``async def``, or a plain function that only returns.

    Args:
        name: the name it is started by; the function's own by default.
        version: the version that callers ask for when they name the function.

    Raises:
        RegistrationError: the name is blank, the version is no text, or this is no function.
    """

    def mark(function: F) -> F:
        return _mark(function, "orchestration", name, version)

    return mark if function is None else mark(function)


@overload
def activity(function: F, /) -> F: ...
@overload
def activity(
    *, name: str | None = None, version: str | None = None, inline: bool = False
) -> Callable[[F], F]: ...
def activity(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    version: str | None = None,
    inline: bool = False,
) -> Any:
    """Mark a function as an activity; it stays the same, callable function.

    Use it bare or with arguments. The function takes the context and, if it wants it, the input;
    it is an ordinary function, run in a thread, or an ``async def``, run on the worker's loop.

    Args:
        name: the name it is called by; the function's own by default.
        version: the version that calls carry when they name the function.
        inline: run an ordinary function on the worker's loop, without a thread. Only for
            functions that take microseconds and never block.

    Raises:
        RegistrationError: the name is blank, the version is no text, or this is no function.
    """

    def mark(function: F) -> F:
        return _mark(function, "activity", name, version, inline)

    return mark if function is None else mark(function)


@overload
def entity(definition: F, /) -> F: ...
@overload
def entity(*, name: str | None = None) -> Callable[[F], F]: ...
def entity(definition: Callable[..., Any] | None = None, /, *, name: str | None = None) -> Any:
    """Mark a class or a function as an entity; it stays the same class or function.

    Use it bare or with arguments. A class derives from :class:`DurableEntity`, and its public
    methods are the operations. A function takes an :class:`EntityContext` and, if it wants it, the
    input, and looks at ``ctx.operation``. Both may be ``async def``, and then may wait for whatever
    they like; an ordinary one runs on the worker's loop and must not block.

    Args:
        name: the name in entity ids, where case does not matter; its own by default.

    Raises:
        RegistrationError: the name is blank, or this is neither a class nor a function.
    """

    def mark(function: F) -> F:
        return _mark(function, "entity", name, None)

    return mark if definition is None else mark(definition)


def definition_of(function: Callable[..., Any]) -> Definition:
    """What a decorator noted about ``function``, or its bare name if it is undecorated.

    Raises:
        RegistrationError: it is undecorated and has no name.
    """
    noted = getattr(function, _ATTRIBUTE, None)
    if isinstance(function, type) and _ATTRIBUTE not in vars(function):
        noted = None  # a decorated class has a subclass, which has a name of its own
    if isinstance(noted, Definition):
        return noted
    name = getattr(function, "__name__", None)
    if not isinstance(name, str) or name == "<lambda>":
        raise RegistrationError(
            f"{function!r} has no name of its own: decorate a function with a name=, or call it "
            "by the name it is registered under"
        )
    return Definition(name)


def _mark(function: F, kind: str, name: Any, version: Any, inline: bool = False) -> F:
    if not callable(function):
        wanted = "a class or a function" if kind == "entity" else "a function"
        raise RegistrationError(
            f"@task.{kind} decorates {wanted}, not {type(function).__name__}; its options are "
            f"given by keyword: @task.{kind}(name=...)"
        )
    if name is None:
        name = definition_of(function).name
    elif not isinstance(name, str) or not name.strip():
        raise RegistrationError(f"@task.{kind} needs a name= of visible text, not {name!r}")
    if version is not None and not isinstance(version, str):
        raise RegistrationError(f"@task.{kind} needs a version= of text, not {version!r}")
    # One attribute on the function itself: a wrapper would hide its signature and its type.
    setattr(function, _ATTRIBUTE, Definition(name, kind, version, inline))
    return function
