"""What the first page promises about the repository."""

import re
from pathlib import Path

import pytest

LONGEST_README = 150


@pytest.fixture
def readme(root: Path) -> str:
    """The first page."""
    return (root / "README.md").read_text("utf-8")


def test_the_gate_runs_the_command_of_the_readme(root: Path, readme: str) -> None:
    """Whoever types the command of the README gets what the gate gets."""
    script = (root / ".ci/run").read_text("utf-8")
    command = re.search(r"^command='(?P<line>.+)'$", script, re.MULTILINE)
    assert command is not None
    assert command["line"] in readme.splitlines()


def test_the_readme_is_for_a_newcomer(readme: str) -> None:
    """Whatever does not fit here belongs into the documentation."""
    assert len(readme.splitlines()) <= LONGEST_README
