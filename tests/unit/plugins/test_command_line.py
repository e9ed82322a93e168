"""The program `durabletask`: commands from entry points, statuses and texts for shells."""

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from durabletask.cli import main
from durabletask.errors import ConfigurationError
from durabletask.plugins import PluginManager
from durabletask.stores.sqlite.schema import SCHEMA_VERSION

SOURCE = """
from durabletask.errors import BackendUnavailableError
from durabletask.plugins import Command, hookimpl

async def run(arguments):
    if arguments.trouble == "known":
        raise BackendUnavailableError("the disk is full;\\n  free some space")
    if arguments.trouble == "interrupted":
        raise KeyboardInterrupt
    if arguments.trouble == "unknown":
        raise LookupError("a bug")
    print("done", arguments.trouble)
    return 3 if arguments.trouble == "status" else None

@hookimpl
def durabletask_commands():
    return [
        Command(
            name="toil",
            summary="work in vain",
            configure=lambda parser: parser.add_argument("trouble"),
            run=run,
        )
    ]
"""

GROUP = "durabletask.commands"


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> PluginManager:
    """What a process that has just started knows of plugins."""
    fresh = PluginManager()
    monkeypatch.setattr("durabletask.cli.program.plugin_manager", lambda: fresh)
    return fresh


@pytest.fixture
def toil(install: Callable[..., str]) -> Iterator[None]:
    """An installed distribution that brings the command `toil`."""
    module = install("toil-commands", SOURCE, "toil = toil_commands", group=GROUP)
    yield
    sys.modules.pop(module, None)


@pytest.mark.usefixtures("toil")
@pytest.mark.parametrize(("argument", "status"), [("none", 0), ("status", 3)])
def test_a_command_is_found_and_run(
    argument: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is installed takes part; what its command returns is the exit status."""
    assert main(["toil", argument]) == status
    assert capsys.readouterr().out == f"done {argument}\n"


@pytest.mark.usefixtures("toil")
def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Ours and theirs, each with its summary."""
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert "migrate" in out
    assert "work in vain" in out


def test_a_command_of_another_distribution_says_where_it_comes_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has the core alone and reads of ``durabletask serve`` learns what is missing."""
    monkeypatch.setattr(PluginManager, "commands", lambda self: {})
    assert main(["serve", "--port", "1", "sqlite://"]) == 1
    assert 'pip install "durabletask-core[grpc]"' in capsys.readouterr().err


@pytest.mark.usefixtures("toil")
def test_what_goes_wrong_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """An error of ours says all there is to say, without a traceback."""
    assert main(["toil", "known"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "durabletask: the disk is full; free some space\n"


@pytest.mark.usefixtures("toil")
def test_a_bug_keeps_its_traceback() -> None:
    """What is no error of ours is not hidden."""
    with pytest.raises(LookupError, match="a bug"):
        main(["toil", "unknown"])


@pytest.mark.usefixtures("toil")
def test_an_interrupt_ends_quietly(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl+C gives the status that shells know, and no text."""
    assert main(["toil", "interrupted"]) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("line", [[], ["no-such-command"], ["migrate", "a", "b"]])
def test_an_unusable_command_line_is_status_2(
    line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """As for every program that reads its arguments with argparse."""
    with pytest.raises(SystemExit) as end:
        main(line)
    assert end.value.code == 2
    assert "usage: durabletask" in capsys.readouterr().err


def test_the_version_is_that_of_the_core(capsys: pytest.CaptureFixture[str]) -> None:
    """All distributions carry the same one."""
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"durabletask {version('durabletask-core')}\n"


def test_a_broken_distribution_takes_no_other_command_away(
    install: Callable[..., str], plugins: PluginManager, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged by name, and the rest works."""
    install("broken-commands", "import no_such_module", "broken = broken_commands", group=GROUP)
    install("empty-commands", "", "empty = empty_commands", group=GROUP)
    assert "migrate" in plugins.commands()
    assert "broken-commands" in caplog.text
    assert "durabletask_commands" in caplog.text


@pytest.mark.usefixtures("toil")
def test_two_commands_of_one_name_are_refused(
    install: Callable[..., str], plugins: PluginManager, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody should have to guess whose command runs."""
    install("more-toil", SOURCE, "toil = more_toil", group=GROUP)
    with pytest.raises(ConfigurationError, match="'toil'"):
        plugins.commands()
    assert main(["toil", "none"]) == 1
    assert "uninstall" in capsys.readouterr().err


# --- migrate -----------------------------------------------------------------------------------


def test_migrate_creates_a_sqlite_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The schema is there afterwards; a second time finds it in order."""
    file = tmp_path / "orders.db"
    for _ in range(2):
        assert main(["migrate", f"sqlite:///{file}?task_hub=eu"]) == 0
        told = capsys.readouterr().out
        assert told == f"{file}: schema version {SCHEMA_VERSION}, task hub 'eu' is ready\n"
    assert file.exists()


def test_migrate_takes_the_url_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As clients and workers do."""
    monkeypatch.setenv("DURABLETASK_URL", f"sqlite:///{tmp_path / 'here.db'}")
    assert main(["migrate"]) == 0
    assert "here.db" in capsys.readouterr().out


def test_migrate_of_what_keeps_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """The memory of a process needs no preparation, which is no error."""
    assert main(["migrate", "memory://"]) == 0
    assert capsys.readouterr().out == "the memory backend has nothing to migrate\n"


@pytest.mark.parametrize("url", ["nonsense", "nobody://here", "sqlite:////no/such/folder/x.db"])
def test_migrate_tells_what_is_wrong(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A bad URL, an unknown backend, a place that cannot be used: one line each."""
    assert main(["migrate", url]) == 1
    err = capsys.readouterr().err
    assert err.startswith("durabletask: ")
    assert err.count("\n") == 1
