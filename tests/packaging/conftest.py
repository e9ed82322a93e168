"""The repository as the packaging tests see it: distributions, modules, wheels."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def projects(root: Path) -> dict[str, Path]:
    """Our distributions: name to folder."""
    return {path.parent.name: path.parent for path in root.glob("packages/*/pyproject.toml")}


@pytest.fixture(scope="session")
def metadata(projects: dict[str, Path]) -> dict[str, dict[str, Any]]:
    """Our distributions: name to the `project` table of its pyproject.toml."""
    return {
        name: tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
        for name, folder in projects.items()
    }


@pytest.fixture(scope="session")
def sources(projects: dict[str, Path]) -> dict[str, Path]:
    """Every module that somebody wrote, of every distribution: dotted name to file."""
    found: dict[str, Path] = {}
    for folder in projects.values():
        for path in sorted((folder / "src").rglob("*.py")):
            parts = path.relative_to(folder / "src").with_suffix("").parts
            if not path.stem.endswith("_pb2"):
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    assert found
    return found


@pytest.fixture(scope="session")
def trees(sources: dict[str, Path]) -> dict[str, ast.Module]:
    """Every module of every distribution: dotted name to syntax tree."""
    return {name: ast.parse(path.read_text("utf-8")) for name, path in sources.items()}


@pytest.fixture(scope="session")
def wheels(projects: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel of every distribution, built once from the sources as they are now."""
    built: dict[str, Path] = {}
    for name, folder in projects.items():
        target = tmp_path_factory.mktemp(name)
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        (built[name],) = target.glob("*.whl")
    return built
