"""The program ``durabletask``: finds the commands, runs one, tells what went wrong in one line."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

from durabletask.errors import ConfigurationError, DurableTaskError
from durabletask.plugins import Command, plugin_manager

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["main"]

FAILED = 1
INTERRUPTED = 130
"""What shells report for a program that Ctrl+C has ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status of the program.

    Args:
        arguments: the words after ``durabletask``; None takes them from the command line.

    Raises:
        SystemExit: the arguments are unusable (status 2), or ask for help or the version.
    """
    try:
        commands = _ABSENT | dict(plugin_manager().commands())
        chosen = parser(commands).parse_args(arguments)
        return asyncio.run(_run(commands[chosen.command], chosen))
    except DurableTaskError as error:
        _tell(f"durabletask: {' '.join(str(error).split())}")
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone, as in `durabletask ... | head`. The interpreter must
        # not try to flush what is left for them.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


async def _run(command: Command, arguments: argparse.Namespace) -> int:
    status = await command.run(arguments)
    sys.stdout.flush()
    return status or 0


def _absent(name: str, extra: str) -> Command:
    """A command that tells which of our distributions brings the one of this name."""
    source = f"durabletask-{extra}, which is not installed here"

    def configure(parser: argparse.ArgumentParser) -> None:
        parser.prefix_chars = "\0"  # options are taken as they come: nobody reads them
        parser.add_argument("arguments", nargs="*")

    async def run(arguments: argparse.Namespace) -> None:
        raise ConfigurationError(
            f'{name} comes with {source}: pip install "durabletask-core[{extra}]"'
        )

    return Command(name=name, summary=f"comes with {source}", configure=configure, run=run)


_ABSENT = {"serve": _absent("serve", "grpc")}
"""What stands in for commands of ours that are in other distributions."""


def parser(commands: Mapping[str, Command]) -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    program = argparse.ArgumentParser(
        prog="durabletask", description="Durable orchestrations in Python."
    )
    program.add_argument(
        "--version", action="version", version=f"%(prog)s {version('durabletask-core')}"
    )
    words = program.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in sorted(commands.items()):
        own = words.add_parser(name, help=command.summary, description=f"{command.summary}.")
        command.configure(own)
    return program


def _tell(text: str) -> None:
    print(text, file=sys.stderr)
