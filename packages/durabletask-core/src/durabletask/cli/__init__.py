"""The command line: ``durabletask COMMAND``."""

from durabletask.cli.program import main

__all__ = ["main"]
