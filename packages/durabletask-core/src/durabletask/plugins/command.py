"""A sub-command of the ``durabletask`` program, as a plugin brings it."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

__all__ = ["Command"]


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    """A command without arguments of its own."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One word after ``durabletask`` on the command line.

    Attributes:
        name: the word.
        summary: one line for ``durabletask --help``, without a full stop.
        run: does it, on an event loop of its own, and returns the exit status; None is 0.
            A DurableTaskError that it raises is printed as one line, with exit status 1.
        configure: adds the command's arguments to its parser.
    """

    name: str
    summary: str
    run: Callable[[argparse.Namespace], Awaitable[int | None]]
    configure: Callable[[argparse.ArgumentParser], None] = _no_arguments
