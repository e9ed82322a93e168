"""A backend by strangers, installed beside the core: found, explained and tested from outside.

The distribution in `tests/thirdparty/durabletask-journal` is built and installed into a folder of
its own. Whoever has that folder on the path has the backend.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "thirdparty/durabletask-journal"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the built wheel is installed, without asking any index."""
    source = tmp_path_factory.mktemp("source") / SOURCE.name
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    wheels, target = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("installed")
    python("-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels), cwd=source)
    (wheel,) = wheels.glob("*.whl")
    options = ["--no-index", "--no-deps", "--disable-pip-version-check", "--target", str(target)]
    python("-m", "pip", "--isolated", "install", *options, str(wheel), cwd=wheels)
    return target


def python(
    *arguments: str, cwd: Path, path: Path | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run this Python, with `path` before what it has anyway."""
    environment = {name: value for name, value in os.environ.items() if name != "DURABLETASK_URL"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


# --- found and used ----------------------------------------------------------------------------

HELLO = """
import asyncio, json, sys
from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.worker import TaskHubWorker

@task.activity
def say_hello(ctx, city: str) -> str:
    return f"Hello {city}!"

@task.orchestration
def hello_cities(ctx, _):
    greetings = []
    for city in ("Tokyo", "Seattle", "London"):
        greetings.append((yield ctx.call_activity(say_hello, input=city)))
    return greetings

async def run(url):
    async with TaskHubWorker(url) as worker:
        worker.add_orchestration(hello_cities)
        worker.add_activity(say_hello)
        await worker.start()
        client = TaskHubClient(url)
        instance_id = await client.schedule_new_orchestration(hello_cities, instance_id="hello")
        return await client.wait_for_orchestration_completion(instance_id)

async def look(url):
    return await TaskHubClient(url).get_orchestration_state("hello")

state = asyncio.run({"run": run, "look": look}[sys.argv[1]](sys.argv[2]))
print(json.dumps(state.result if state else None))
"""

GREETINGS = ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]


def test_orchestrations_run_on_it_by_url(installed: Path, tmp_path: Path) -> None:
    """Client and worker find it, share it, and close it; the next process finds the outcome."""

    def hello(what: str, url: str) -> object:
        strict = ["-W", "error"]
        done = python(*strict, "-c", HELLO, what, url, cwd=tmp_path, path=installed)
        assert done.stderr == ""
        return json.loads(done.stdout)

    assert hello("run", "journal:///hub.log") == GREETINGS
    assert hello("look", "journal:///hub.log") == GREETINGS
    assert hello("look", "journal:///hub.log?task_hub=other") is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hub.log", "hub.log.other"]


# --- explained ---------------------------------------------------------------------------------

CONNECT = """
import sys
from durabletask.errors import DurableTaskError
from durabletask.plugins import connect
try:
    print(connect(sys.argv[1]).capabilities.name)
except DurableTaskError as error:
    print(f"{type(error).__name__}: {error}")
"""


def connecting(url: str, cwd: Path, path: Path | None) -> str:
    """What comes of connecting: the backend's name, or the error."""
    return python("-c", CONNECT, url, cwd=cwd, path=path).stdout.strip()


def test_it_is_known_once_it_is_installed(installed: Path, tmp_path: Path) -> None:
    """Before, the error lists what is; afterwards it is one of them."""
    without = connecting("journal:///hub.log", tmp_path, None)
    assert re.fullmatch(
        r"BackendNotFoundError: no backend for 'journal' URLs is installed; installed: "
        r"(\S+, )*memory, (\S+, )*sqlite",
        without,
    )
    assert connecting("journal:///hub.log", tmp_path, installed) == "journal"
    assert re.fullmatch(
        r"BackendNotFoundError: no backend for 'jurnal' URLs is installed \(did you mean "
        r"'journal'\?\); installed: (\S+, )*journal, (\S+, )*memory, (\S+, )*sqlite",
        connecting("jurnal:///hub.log", tmp_path, installed),
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "error"),
    [
        (
            "journal:///hub.log?snyc=false",
            "unknown option 'snyc' in journal:///hub.log?snyc=*** (did you mean 'sync'?); known "
            "options: sync, task_hub",
        ),
        (
            "journal:///hub.log?sync=later",
            "option 'sync' in journal:///hub.log?sync=*** must be 'true' or 'false'",
        ),
        (
            "journal://hub.log",
            "a journal URL has no host: a file follows three slashes, as in journal:///orders.db, "
            "and an absolute path four, as in journal:////var/lib/orders.db",
        ),
    ],
)
def test_its_urls_are_checked_like_ours(
    installed: Path, tmp_path: Path, url: str, error: str
) -> None:
    """The core reads options and places for everyone."""
    assert connecting(url, tmp_path, installed) == f"BackendUrlError: {error}"
    assert list(tmp_path.iterdir()) == []


def test_half_an_installation_is_explained(installed: Path, tmp_path: Path) -> None:
    """The entry point is there and what it leads to is not."""
    broken = tmp_path / "broken"
    shutil.copytree(installed, broken)
    shutil.rmtree(broken / "durabletask_journal")
    assert connecting("journal:///hub.log", tmp_path, broken) == (
        "BackendNotFoundError: the backend for 'journal' URLs cannot be loaded: it needs the "
        "module 'durabletask_journal', which is not installed; it belongs to "
        "durabletask_journal.plugin (durabletask-journal)"
    )


# --- tested ------------------------------------------------------------------------------------


def run_suite(
    installed: Path, folder: Path, addition: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the distribution's own tests, whose conformance module gets an addition."""
    suite = folder / "suite"
    shutil.copytree(SOURCE, suite, ignore=shutil.ignore_patterns("src", "__pycache__", ".*"))
    with (suite / "tests/test_conformance.py").open("a", encoding="utf-8") as file:
        file.write(addition)
    arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return python(*arguments, cwd=suite, path=installed, check=False)


def test_the_kit_tests_it_from_outside(installed: Path, tmp_path: Path) -> None:
    """Its own suite subclasses the kit that the core ships, and passes."""
    done = run_suite(installed, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"^(\d+) passed", done.stdout, re.MULTILINE)
    assert passed is not None, done.stdout
    assert int(passed[1]) > 100


TIMID = """

class TimidStore(JournalStore):
    async def take_over(self) -> int:
        return 0

JournalStore = TimidStore
"""


def test_the_kit_fails_a_store_that_breaks_a_promise(installed: Path, tmp_path: Path) -> None:
    """Or passing would mean nothing: this one never takes over from the dead."""
    done = run_suite(installed, tmp_path, TIMID)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"^FAILED tests/test_conformance.py::.*(dead|expired|take)", done.stdout, re.M)
