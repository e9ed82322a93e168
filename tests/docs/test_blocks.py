"""Runs every code block of the documentation, and compares what it prints.

The blocks of a page build on each other and share a folder, a Python namespace and a shell:

- ``python`` is executed, and may await; if its first line is ``# name.py`` it becomes that file.
- ``console`` goes to the shell of the page, line by line; a line that fails fails the page.
- ``text`` is what the block before it printed, an uncaught error included. ``...`` stands for
  anything. Of a shell's output it is the end.
- ``toml`` must be TOML.

A block below ``<!-- not run: reason -->`` is left alone.
"""

import ast
import asyncio
import contextlib
import inspect
import io
import os
import re
import shutil
import subprocess
import sys
import tomllib
import traceback
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("packages/*/README.md")),
    *sorted(path for path in ROOT.glob("docs/**/*.md") if "_build" not in path.parts),
]
LANGUAGES = {"python", "console", "text", "toml"}

_BLOCK = re.compile(
    r"(?P<mark><!-- not run: (?P<reason>\S.*) -->\n)?"
    r"^(?P<fence>```+)(?P<language>.*)\n(?P<code>(?s:.*?))^(?P=fence)$",
    re.MULTILINE,
)
_FILE = re.compile(r"# (?P<name>[\w/]+\.py)\n")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, and the number of the line of its first line of code."""

    language: str
    code: str
    line: int
    reason: str | None


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page, without those that are directives of MyST."""
    text = page.read_text("utf-8")
    return [
        Block(
            match["language"],
            match["code"],
            text.count("\n", 0, match.start("code")) + 1,
            match["reason"],
        )
        for match in _BLOCK.finditer(text)
        if not match["language"].startswith("{")
    ]


def name_of(page: Path) -> str:
    """The page as the repository knows it."""
    return page.relative_to(ROOT).as_posix()


class Shell:
    """The shell of a page: bash, with jobs, in the folder of the page."""

    END = "--- end of block"

    def __init__(self, folder: Path) -> None:
        beside = str(Path(sys.executable).parent)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment["PATH"] = os.pathsep.join([beside, environment["PATH"]])
        self._errors = (folder / ".errors").open("w+b")
        self._bash = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._write("set -em\n")

    def _write(self, text: str) -> None:
        assert self._bash.stdin is not None
        self._bash.stdin.write(text)
        self._bash.stdin.flush()

    def run(self, code: str) -> str:
        """What the lines print; fails if one of them does."""
        self._write(f"{code}\necho '{self.END}'\n")
        assert self._bash.stdout is not None
        output = ""
        for line in self._bash.stdout:
            if line == f"{self.END}\n":
                return output
            output += line
        # A line has failed, and the shell with it.
        raise AssertionError(f"in\n{code}\n{output}{self._complaints()}")

    def _complaints(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode()

    def close(self) -> None:
        """End the shell and what still runs in it."""
        with contextlib.suppress(BrokenPipeError):
            self._write("kill -9 $(jobs -p) 2> /dev/null || true\nexit 0\n")
        for stream in (self._bash.stdin, self._bash.stdout, self._errors):
            assert stream is not None
            _close(stream)
        self._bash.wait()


def _close(stream: IO[str] | IO[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError):
        stream.close()


class Interpreter:
    """The Python of a page: one namespace, and one event loop for all that awaits."""

    def __init__(self, module: types.ModuleType, runner: asyncio.Runner) -> None:
        self._module = module
        self._runner = runner

    def run(self, page: Path, block: Block) -> str:
        """What the block prints, the uncaught error that ended it last."""
        # With the lines above it, so that a traceback names the line of the page.
        source = "\n" * (block.line - 1) + block.code
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code = compile(source, str(page), "exec", flags=flags, dont_inherit=True)
        with contextlib.redirect_stdout(io.StringIO()) as output:
            try:
                result = eval(code, self._module.__dict__)
                if inspect.iscoroutine(result):
                    self._runner.run(result)
            except Exception as error:
                output.write("".join(traceback.format_exception_only(error)))
                self._module.__dict__["_uncaught"] = error
        return output.getvalue()

    def uncaught(self) -> Exception | None:
        """The error that ended the last block, once."""
        error: Exception | None = self._module.__dict__.pop("_uncaught", None)
        return error


@pytest.fixture
def folder(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the page is run: an empty folder; for the first page, a checkout."""
    if page == ROOT / "README.md":
        for name in ("packages", "examples"):
            hidden = shutil.ignore_patterns("__pycache__", ".*")
            shutil.copytree(ROOT / name, tmp_path / name, ignore=hidden)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DURABLETASK_URL", raising=False)
    return tmp_path


@pytest.fixture
def interpreter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Interpreter]:
    """Python as a script has it, so that texts with ``__main__`` in them read as they will."""
    module = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    monkeypatch.syspath_prepend(folder)
    with asyncio.Runner() as runner:
        yield Interpreter(module, runner)


@pytest.fixture
def shell(folder: Path) -> Iterator[Shell]:
    """A shell that leaves nothing behind."""
    shell = Shell(folder)
    yield shell
    shell.close()


def matches(expected: str, output: str, *, at_the_end: bool) -> bool:
    """Whether the output is the expected one, in which ``...`` stands for anything."""
    pattern = "(?s:.*)".join(map(re.escape, expected.strip().split("...")))
    before = r"(?s:.*\n)?" if at_the_end else ""
    return re.fullmatch(before + pattern, output.strip()) is not None


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_blocks_do_what_the_page_says(
    page: Path, folder: Path, interpreter: Interpreter, shell: Shell
) -> None:
    """Every block runs, and prints what stands below it."""
    blocks = blocks_of(page)
    output, language = None, ""
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        place = f"{name_of(page)}:{block.line}"
        assert block.language in LANGUAGES, f"{place}: nobody runs {block.language!r}"
        if block.reason is not None:
            output = None
        elif block.language == "text":
            assert output is not None, f"{place}: nothing was run that could have printed this"
            is_end = language == "console"
            assert matches(block.code, output, at_the_end=is_end), f"{place}:\n{output}"
        elif block.language == "toml":
            tomllib.loads(block.code)
        elif block.language == "console":
            output = shell.run(block.code)
        elif (file := _FILE.match(block.code)) is not None:
            compile(block.code, file["name"], "exec", dont_inherit=True)
            (folder / file["name"]).parent.mkdir(parents=True, exist_ok=True)
            (folder / file["name"]).write_text(block.code, "utf-8")
        else:
            output = interpreter.run(page, block)
            error = interpreter.uncaught()
            if error is not None and (following is None or following.language != "text"):
                raise AssertionError(f"{place} failed") from error
        language = block.language


def test_few_blocks_are_not_run() -> None:
    """Each says why, and there are no more than these."""
    left_alone = [
        (name_of(page), block.reason)
        for page in PAGES
        for block in blocks_of(page)
        if block.reason is not None
    ]
    assert left_alone == [
        ("README.md", "not published yet"),
        ("README.md", "it runs the tests, this one among them"),
        ("packages/durabletask-core/README.md", "not published yet"),
    ]


def test_links_to_files_lead_somewhere() -> None:
    """In the pages that are read on their own; Sphinx looks after the others."""
    for page in PAGES:
        if page.is_relative_to(ROOT / "docs"):
            continue
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{name_of(page)} links to {target}"
