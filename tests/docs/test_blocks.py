"""Runs every code block of the documentation, and compares what it prints.

The blocks of a page build on each other and share a folder, a Python namespace and a shell:

- ``python`` is executed, and may await; if its first line is ``# name.py`` it becomes that file.
- ``console`` goes to the shell of the page; a line that fails fails the page.
- ``text`` is what the block before it printed, an uncaught error included. ``...`` stands for
  anything. Of a shell's output it is the end.
- ``toml`` must be TOML.

A block below ``<!-- not run: reason -->`` is left alone.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("packages/*/README.md")),
    *sorted(path for path in ROOT.glob("docs/**/*.md") if "_build" not in path.parts),
]

_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>\S.*) -->\n)?"
    r"^(?P<fence>```+)(?P<language>.*)\n(?P<code>(?s:.*?))^(?P=fence)$",
    re.MULTILINE,
)
_FILE = re.compile(r"# (?P<name>[\w/]+\.py)\n")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        line: the number of its first line of code.
        reason: why it is not run, or None.
        printed: what the page says it prints, or None if the page does not say.
    """

    language: str
    code: str
    line: int
    reason: str | None
    printed: str | None = None


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page, each with its output, without those that are directives of MyST."""
    text = page.read_text("utf-8")
    blocks: list[Block] = []
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("code")) + 1
        if match["language"] != "text":
            blocks.append(Block(match["language"], match["code"], line, match["reason"]))
            continue
        place = f"{name_of(page)}:{line}"
        assert blocks and blocks[-1].printed is None, f"{place}: nothing could have printed this"
        blocks[-1] = replace(blocks[-1], printed=match["code"])
    return [block for block in blocks if not block.language.startswith("{")]


def name_of(page: Path) -> str:
    """The page as the repository knows it."""
    return page.relative_to(ROOT).as_posix()


def environment() -> dict[str, str]:
    """The environment of a user: this Python comes first, and no place is chosen."""
    variables = {**os.environ}
    for name in ("DURABLETASK_URL", "PYTHONPATH"):
        variables.pop(name, None)
    beside = str(Path(sys.executable).parent)
    return variables | {"PATH": os.pathsep.join([beside, variables["PATH"]])}


class Shell:
    """The shell of a page: bash, in the folder of the page."""

    END = "--- end of block\n"

    def __init__(self, folder: Path) -> None:
        self._complaints = (folder / ".complaints").open("w+")
        self._bash = subprocess.Popen(
            ["bash", "--norc", "-e"],
            cwd=folder,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            start_new_session=True,
        )

    def run(self, code: str) -> str:
        """What the lines print; fails if one of them does."""
        assert self._bash.stdin is not None and self._bash.stdout is not None
        self._bash.stdin.write(f"{code}\necho '{self.END.strip()}'\n")
        self._bash.stdin.flush()
        output = ""
        for line in self._bash.stdout:
            if line == self.END:
                return output
            output += line
        # A line has failed, and the shell with it.
        self._complaints.seek(0)
        raise AssertionError(f"{code}\n{output}\n{self._complaints.read()}")

    def close(self) -> None:
        """End the shell, and all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._bash.pid, signal.SIGKILL)
        self._bash.communicate()
        self._complaints.close()


class Interpreter:
    """The Python of a page: one process, one namespace, one event loop for all that awaits."""

    def __init__(self, page: Path, folder: Path) -> None:
        self._page = page
        self._python = subprocess.Popen(
            [sys.executable, "-W", "error", str(Path(__file__).with_name("interpreter.py"))],
            cwd=folder,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, block: Block) -> str:
        """What the block prints, and last the error that ended it, if the page expects one."""
        assert self._python.stdin is not None and self._python.stdout is not None
        question = {"page": str(self._page), "line": block.line, "code": block.code}
        self._python.stdin.write(json.dumps(question) + "\n")
        self._python.stdin.flush()
        answer = json.loads(self._python.stdout.readline())
        output: str = answer["output"]
        if answer["error"] is None:
            return output
        text, trace = answer["error"]
        assert block.printed is not None, trace
        return f"{output}{text}"

    def close(self) -> None:
        """End it, as a program ends."""
        self._python.communicate(timeout=30)
        assert self._python.returncode == 0


def save(block: Block, file: Path) -> None:
    """Write the block into the file that it names."""
    compile(block.code, file.name, "exec", dont_inherit=True)
    file.write_text(block.code, "utf-8")


@pytest.fixture
def folder(page: Path, tmp_path: Path) -> Path:
    """Where the page is run: an empty folder; for the first page, a checkout."""
    if page == ROOT / "README.md":
        for name in ("packages", "examples"):
            hidden = shutil.ignore_patterns("__pycache__", ".*")
            shutil.copytree(ROOT / name, tmp_path / name, ignore=hidden)
    return tmp_path


@pytest.fixture
def interpreter(page: Path, folder: Path) -> Iterator[Interpreter]:
    """An interpreter that is closed after the test."""
    with contextlib.closing(Interpreter(page, folder)) as interpreter:
        yield interpreter


@pytest.fixture
def shell(folder: Path) -> Iterator[Shell]:
    """A shell that leaves nothing behind."""
    with contextlib.closing(Shell(folder)) as shell:
        yield shell


def matches(expected: str, output: str, *, at_the_end: bool) -> bool:
    """Whether the output is the expected one, in which ``...`` stands for anything."""
    pattern = "(?s:.*)".join(map(re.escape, expected.strip().split("...")))
    before = r"(?s:.*\n)?" if at_the_end else ""
    return re.fullmatch(before + pattern, output.strip()) is not None


@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page)], ids=name_of)
def test_the_blocks_do_what_the_page_says(
    page: Path, folder: Path, interpreter: Interpreter, shell: Shell
) -> None:
    """Every block runs, and prints what stands below it."""
    for block in blocks_of(page):
        if block.reason is not None:
            continue
        output = ""
        if block.language == "console":
            output = shell.run(block.code)
        elif block.language == "toml":
            tomllib.loads(block.code)
        elif block.language != "python":
            pytest.fail(f"{name_of(page)}:{block.line}: nobody runs {block.language!r}")
        elif (file := _FILE.match(block.code)) is not None:
            save(block, folder / file["name"])
        else:
            output = interpreter.run(block)
        if block.printed is not None:
            is_end = block.language == "console"
            place = f"{name_of(page)}:{block.line}"
            assert matches(block.printed, output, at_the_end=is_end), f"{place} printed\n{output}"


def test_few_blocks_are_not_run() -> None:
    """Each says why, and there are no more than these."""
    left_alone = [
        (name_of(page), block.reason)
        for page in PAGES
        for block in blocks_of(page)
        if block.reason is not None
    ]
    assert Counter(left_alone) == {
        ("README.md", "not published yet"): 1,
        ("README.md", "it runs the tests, this one among them"): 1,
        ("packages/durabletask-azuremanaged/README.md", "it needs a scheduler"): 1,
        ("packages/durabletask-core/README.md", "not published yet"): 1,
        ("packages/durabletask-postgres/README.md", "it needs a server"): 1,
        ("packages/durabletask-redis/README.md", "not published yet"): 1,
        ("docs/howto/postgres.md", "it needs a server"): 3,
        ("docs/howto/redis.md", "it needs a server"): 1,
        ("docs/howto/redis.md", "lines of redis.conf"): 1,
    }


def test_links_to_files_lead_somewhere() -> None:
    """In the pages that are read outside the documentation; Sphinx looks after the others."""
    for page in PAGES:
        if page.is_relative_to(ROOT / "docs"):
            continue
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{name_of(page)} links to {target}"
