"""Modules hold one idea each, and functions fit on a screen."""

import ast
import statistics
from pathlib import Path

LONGEST_MODULE = 600
LONGEST_FUNCTION = 60
MEDIAN_MODULE = 130


def line_counts(sources: dict[str, Path]) -> dict[str, int]:
    """The number of lines of every module."""
    return {name: len(path.read_text("utf-8").splitlines()) for name, path in sources.items()}


def test_modules_are_short(sources: dict[str, Path]) -> None:
    """No module outgrows what a reader keeps in mind."""
    counts = line_counts(sources)
    assert {name: n for name, n in counts.items() if n > LONGEST_MODULE} == {}


def test_the_typical_module_is_a_page_or_two(sources: dict[str, Path]) -> None:
    """The median tells whether the limit above became the habit."""
    assert statistics.median(line_counts(sources).values()) <= MEDIAN_MODULE


def test_functions_fit_on_a_screen(trees: dict[str, ast.Module]) -> None:
    """From `def` to the last line, the docstring included."""
    assert {
        f"{name}.{node.name}": length
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > LONGEST_FUNCTION
    } == {}
