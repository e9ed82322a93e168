"""What the documentation says is shown by a test, is shown by a test that exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"(?P<file>(?:tests|packages)/[\w/.-]+\.py)::(?P<test>test_\w+)")
PAGES = sorted((ROOT / "docs" / "explanation").glob("*.md"))


def functions_of(file: Path) -> set[str]:
    """The names of the test functions of a file."""
    tree = ast.parse(file.read_text("utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, functions)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_named_tests_exist(page: Path) -> None:
    """Each `file::test` of a page is there."""
    for named in NAMED.finditer(page.read_text("utf-8")):
        file = ROOT / named["file"]
        assert file.is_file(), named[0]
        assert named["test"] in functions_of(file), named[0]


def test_guarantees_and_threats_name_tests() -> None:
    """The two tables rest on tests, not on words."""
    for stem, least in (("guarantees", 8), ("threats", 6)):
        text = (ROOT / "docs" / "explanation" / f"{stem}.md").read_text("utf-8")
        assert len(NAMED.findall(text)) >= least
