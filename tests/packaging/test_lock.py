"""The lock: whole, from the index that everybody has, and not behind what we require."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from tests.audit.lock import LOCK, pins
from tests.audit.run import lines
from tests.audit.vulnerabilities import read

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def lock(root: Path) -> dict[str, Any]:
    """The lock of the workspace."""
    return tomllib.loads((root / LOCK).read_text("utf-8"))


def test_every_file_has_a_hash_and_a_public_place(lock: dict[str, Any]) -> None:
    """Whoever installs from it gets the very files that were tested, from where everybody can."""
    assert lock["lock-version"] == "1.0"
    for package in lock["packages"]:
        assert package.keys() <= {"name", "version", "marker", "index", "sdist", "wheels"}
        assert package.get("index", "https://pypi.org/simple") == "https://pypi.org/simple"
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        assert files, package["name"]
        for file in files:
            assert len(file["hashes"]["sha256"]) == 64
            place = urlsplit(file["url"])
            assert (place.scheme, place.netloc) == ("https", "files.pythonhosted.org")


def test_it_holds_what_we_require(
    root: Path, lock: dict[str, Any], metadata: dict[str, dict[str, Any]]
) -> None:
    """Every requirement of a distribution and of the tests, in a version that it allows."""
    locked = {name: Version(version) for name, version, _ in pins(lock)}
    groups = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    wanted = [*groups["tests"]]
    for project in metadata.values():
        wanted += project["dependencies"]
    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        if name not in metadata:
            assert locked[name] in requirement.specifier, requirement
    assert not locked.keys() & metadata.keys()


def test_what_could_not_be_asked_about_is_no_clean_bill() -> None:
    """The tool ends well if its index knows nothing at all; we say so."""
    skipped = {"name": "a", "skip_reason": "not found on the index: a (1.0)"}
    clean = {"name": "b", "version": "2.0", "vulns": []}
    flawed = {
        "name": "c",
        "version": "3.0",
        "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1"]}],
    }
    nothing = read(json.dumps({"dependencies": [skipped]}))
    assert lines("pypi", nothing)[0].startswith("not audited")
    some = read(json.dumps({"dependencies": [skipped, clean, flawed]}))
    assert lines("pypi", some) == [
        "audited: pypi knows 1 flaws of 2 versions",
        "not audited: 1 more, not found on the index: a (1.0)",
        "c 3.0: PYSEC-1, fixed in 3.1",
    ]
