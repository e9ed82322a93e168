"""What the annotations of an orchestrator or activity say about its input and its result."""

from __future__ import annotations

import contextlib
import functools
import inspect
import types
from collections import abc
from typing import TYPE_CHECKING, Any, Final, Never, NoReturn, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["input_type_of", "result_type_of"]

_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)

# Which argument of a wrapper in a return annotation is the result; None where it names none.
_RESULT_ARGUMENT: Final[Mapping[Any, int | None]] = types.MappingProxyType(
    {
        abc.Generator: 2,
        abc.Coroutine: 2,
        abc.Awaitable: 0,
        abc.Iterator: None,
        abc.Iterable: None,
        abc.AsyncGenerator: None,
        abc.AsyncIterator: None,
        abc.AsyncIterable: None,
    }
)

# Annotations that ask for nothing to be rebuilt. A function that says it returns None is not held
# to it: whatever it does return arrives as plain data.
_SAYS_NOTHING: Final = (inspect.Parameter.empty, type(None), Never, NoReturn)


def input_type_of(function: Callable[..., Any]) -> Any | None:
    """Return the annotation of the parameter after the context, or None.

    None also when the parameter is missing, or its annotation is ``None`` or cannot be resolved,
    as with a class defined inside a function and named only in annotations kept as text.
    """
    return _types_of(function)[0]


def result_type_of(function: Callable[..., Any]) -> Any | None:
    """Return the annotation of what the function finally returns, or None.

    ``Generator[Y, S, R]``, ``Coroutine[Y, S, R]`` and ``Awaitable[R]`` give R; iterators give
    None, since they say only what is yielded. None also when the annotation is missing, is
    ``None``, or cannot be resolved.
    """
    return _types_of(function)[1]


def _types_of(function: Callable[..., Any]) -> tuple[Any, Any]:
    if isinstance(function, abc.Hashable):
        return _kept_types_of(function)
    return _read_types_of(function)


def _read_types_of(function: Callable[..., Any]) -> tuple[Any, Any]:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        # Some builtins have no signature.
        return None, None
    names = _names_around(function)
    parameters = [p for p in signature.parameters.values() if p.kind in _POSITIONAL]
    given = parameters[1].annotation if len(parameters) > 1 else inspect.Parameter.empty
    return _resolved(given, names), _unwrapped(_resolved(signature.return_annotation, names))


_kept_types_of = functools.lru_cache(maxsize=1024)(_read_types_of)


def _names_around(function: Any) -> dict[str, Any]:
    function = inspect.unwrap(function)
    while isinstance(function, functools.partial):
        function = inspect.unwrap(function.func)
    if not hasattr(function, "__code__"):
        function = type(function).__call__
    if not hasattr(function, "__code__"):
        return {}
    names = dict(function.__globals__)
    names |= {p.__name__: p for p in getattr(function, "__type_params__", ())}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        # An empty cell: the name is not assigned yet where the function was defined.
        with contextlib.suppress(ValueError):
            names[name] = cell.cell_contents
    return names


def _resolved(annotation: Any, names: dict[str, Any]) -> Any | None:
    # One annotation at a time, because a context class imported for type checking only must not
    # hide the type of the input.
    if annotation in _SAYS_NOTHING or annotation is None:
        return None
    bearer = types.SimpleNamespace(__annotations__={"it": annotation})
    try:
        hint = get_type_hints(bearer, names, include_extras=True)["it"]
    except Exception:
        return None
    return None if hint in _SAYS_NOTHING else hint


def _unwrapped(hint: Any) -> Any | None:
    origin = get_origin(hint) or hint
    try:
        position = _RESULT_ARGUMENT[origin]
    except (KeyError, TypeError):
        return hint
    arguments = get_args(hint)
    if position is None or position >= len(arguments) or arguments[position] in _SAYS_NOTHING:
        return None
    return arguments[position]
