"""What users install: the contents of the wheels, and the distribution these tests run on."""

import configparser
import json
import zipfile
from email.message import Message
from email.parser import Parser
from importlib import import_module
from importlib.metadata import distribution, entry_points
from pathlib import Path

import pytest


def names_in(wheel: Path) -> set[str]:
    """The files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def read_from(wheel: Path, name: str) -> str:
    """One file of the wheel's metadata folder."""
    with zipfile.ZipFile(wheel) as archive:
        (path,) = [path for path in archive.namelist() if path.endswith(f".dist-info/{name}")]
        return archive.read(path).decode("utf-8")


@pytest.fixture
def core(wheels: dict[str, Path]) -> Path:
    """The wheel of the core."""
    return wheels["durabletask-core"]


@pytest.fixture
def core_metadata(core: Path) -> Message:
    """The METADATA of the wheel of the core."""
    return Parser().parsestr(read_from(core, "METADATA"))


def test_wheels_hold_the_sources_and_nothing_else(
    projects: dict[str, Path], wheels: dict[str, Path]
) -> None:
    """Every file below src is shipped, data files and type markers too, and no test is."""
    for name, folder in projects.items():
        shipped = {path for path in names_in(wheels[name]) if ".dist-info/" not in path}
        assert shipped == {
            path.relative_to(folder / "src").as_posix()
            for path in (folder / "src").rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }


def test_wheels_leave_the_namespace_open(wheels: dict[str, Path]) -> None:
    """A `durabletask/__init__.py` in one wheel would break the others once installed."""
    assert [n for n in wheels if "durabletask/__init__.py" in names_in(wheels[n])] == []


def test_core_wheel_carries_its_licence(core: Path) -> None:
    """The licence text travels with the code."""
    assert read_from(core, "licenses/LICENSE").startswith("MIT License")


def test_core_requires_pluggy_and_msgspec_only(core_metadata: Message) -> None:
    """Whatever else is needed is asked for by an extra."""
    required = [
        line for line in core_metadata.get_all("Requires-Dist", ()) if "extra ==" not in line
    ]
    assert sorted(line.partition(">=")[0] for line in required) == ["msgspec", "pluggy"]


def test_core_offers_an_extra_per_backend(core_metadata: Message) -> None:
    """Users pick backends by extra."""
    assert set(core_metadata.get_all("Provides-Extra", ())) == {
        "all",
        "azuremanaged",
        "grpc",
        "postgres",
        "redis",
        "testing",
    }


def test_core_registers_its_backends_like_anyone(core: Path) -> None:
    """The embedded backends are entry points, and each points at a module that is shipped."""
    table = configparser.ConfigParser(delimiters=("=",))
    table.read_string(read_from(core, "entry_points.txt"))
    backends = dict(table["durabletask.backends"])
    assert backends == {
        "memory": "durabletask.stores.memory.plugin",
        "sqlite": "durabletask.stores.sqlite.plugin",
    }
    assert {f"{module.replace('.', '/')}.py" for module in backends.values()} <= names_in(core)


def test_installed_backends_can_be_loaded() -> None:
    """The entry points of the installed core lead to modules."""
    ours = [
        item
        for item in entry_points(group="durabletask.backends")
        if item.dist is not None and item.dist.name == "durabletask-core"
    ]
    assert [item.load().__name__ for item in ours] == [item.value for item in ours]


def test_these_tests_run_on_the_installed_distribution(root: Path) -> None:
    """Installed from a wheel, the code comes from site-packages; editable, from the sources."""
    installed = distribution("durabletask-core")
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    is_editable = origin.get("dir_info", {}).get("editable", False)
    home = root / "packages/durabletask-core/src" if is_editable else installed.locate_file("")
    module = import_module("durabletask.errors")
    assert module.__file__ is not None
    assert Path(module.__file__).is_relative_to(Path(str(home)))
