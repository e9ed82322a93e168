"""``durabletask migrate URL``: prepare a task hub's storage for this version of the library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.plugins import Command, connect, hookimpl

if TYPE_CHECKING:
    import argparse

__all__ = ["durabletask_commands"]


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "url",
        nargs="?",
        metavar="URL",
        help="where the orchestrations live; DURABLETASK_URL if it is left out",
    )


async def _migrate(arguments: argparse.Namespace) -> None:
    print(await connect(arguments.url).migrate())


@hookimpl
def durabletask_commands() -> list[Command]:
    """The commands of the core."""
    return [
        Command(
            name="migrate",
            summary="create the storage of a task hub, or bring it up to date",
            configure=_configure,
            run=_migrate,
        )
    ]
