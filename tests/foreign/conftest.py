"""Environments of others, made by `nox -s foreign`, and servers to try them on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PATIENCE = 120.0

Serve = Callable[[str], str]
"""Starts `durabletask serve` over a backend URL and gives its address."""

Start = Callable[..., "subprocess.Popen[str]"]
"""Starts a program that prints `ready`, with these arguments."""


def environment(name: str) -> str:
    """A path from the environment; these tests are nothing without it."""
    path = os.environ.get(name)
    assert path, f"{name} is not set: run `nox -s foreign`, which makes what these tests need"
    return path


@pytest.fixture(scope="session")
def sdks() -> dict[str, list[str]]:
    """How to run the programs of each SDK."""
    return {
        "python": [environment("FOREIGN_PYTHON"), str(HERE / "python_sdk.py")],
        "js": [environment("FOREIGN_NODE"), str(HERE / "js_sdk.js")],
    }


def end(process: subprocess.Popen[str]) -> None:
    """Ask a program to end, and see that it does."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers and ends them after the test."""
    running: list[subprocess.Popen[str]] = []

    def started(url: str) -> str:
        program = Path(sys.executable).parent / "durabletask"
        server = subprocess.Popen(
            [program, "serve", "--backend", url, "--port", "0"], stdout=subprocess.PIPE, text=True
        )
        running.append(server)
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line.startswith("serving "), line
        return line.rpartition("//")[2].strip().replace("127.0.0.1", "localhost")

    yield started
    for server in running:
        end(server)
        assert server.returncode == 0


@pytest.fixture
def start(sdks: dict[str, list[str]]) -> Iterator[Start]:
    """Starts programs of an SDK that go on until the end of the test."""
    running: list[subprocess.Popen[str]] = []

    def started(sdk: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*sdks[sdk], *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield started
    for process in running:
        process.kill()
        process.communicate()
