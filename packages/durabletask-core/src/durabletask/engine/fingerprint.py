"""Whether two functions are the same code."""

from __future__ import annotations

import hashlib
from functools import partial
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["fingerprint_of"]


def fingerprint_of(function: Callable[..., Any]) -> str:
    """A short text that changes when the code of ``function`` changes.

    Functions of the same module that it names are part of it. File names and line numbers are
    not, so the same code installed elsewhere has the same fingerprint. It is meant for one
    version of Python: another compiles differently.
    """
    digest = hashlib.blake2b(digest_size=8)
    for piece in _pieces(function):
        digest.update(piece.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def _pieces(function: Any) -> Iterator[str]:
    seen: set[CodeType] = set()
    waiting = [_plain(function)]
    while waiting:
        current = waiting.pop()
        if not isinstance(current, FunctionType):
            yield repr(type(current))
            continue
        if current.__code__ in seen:
            continue
        seen.add(current.__code__)
        yield from _code_pieces(current.__code__)
        yield repr(current.__defaults__ and [type(value) for value in current.__defaults__])
        for name in sorted(_names(current.__code__)):
            named = current.__globals__.get(name)
            if isinstance(named, FunctionType) and named.__module__ == current.__module__:
                waiting.append(named)


def _plain(function: Any) -> Any:
    """The function below partials, wrappers, methods and callable objects."""
    while True:
        if isinstance(function, partial):
            function = function.func
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif hasattr(function, "__func__"):
            function = function.__func__
        elif isinstance(function, FunctionType):
            return function
        else:
            call = getattr(type(function), "__call__", None)  # noqa: B004 - the method is meant
            return call if isinstance(call, FunctionType) else function


def _code_pieces(code: CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames, code.co_freevars, code.co_flags))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code_pieces(constant)
        elif isinstance(constant, frozenset):
            # The order of a set differs from process to process.
            yield repr(sorted(map(repr, constant)))
        else:
            yield repr(constant)


def _names(code: CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names
