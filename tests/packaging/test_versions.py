"""The distributions are released together, under one version."""

import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version


@pytest.fixture
def version(metadata: dict[str, dict[str, Any]]) -> Version:
    """The version of the core."""
    return Version(metadata["durabletask-core"]["version"])


def test_distributions_share_one_version(
    metadata: dict[str, dict[str, Any]], version: Version
) -> None:
    """No distribution is released alone."""
    assert {name: Version(project["version"]) for name, project in metadata.items()} == (
        dict.fromkeys(metadata, version)
    )


def test_distributions_are_named_after_their_folders(metadata: dict[str, dict[str, Any]]) -> None:
    """Whoever reads a requirement knows where its source is."""
    assert [project["name"] for project in metadata.values()] == list(metadata)


def test_changelog_begins_with_the_version(root: Path, version: Version) -> None:
    """The newest entry of the changelog describes what the sources are."""
    changelog = (root / "CHANGELOG.md").read_text("utf-8")
    head = re.search(r"^## \[(?P<version>[^]]+)\]", changelog, re.MULTILINE)
    assert head is not None
    assert Version(head["version"]) == version


def test_our_requirements_are_in_lock_step(
    metadata: dict[str, dict[str, Any]], version: Version
) -> None:
    """Whichever of us requires another requires the same minor release."""
    lock_step = SpecifierSet(
        f">={version.major}.{version.minor},<{version.major}.{version.minor + 1}"
    )
    requirements = [
        Requirement(line)
        for project in metadata.values()
        for line in chain(
            project.get("dependencies", ()), *project.get("optional-dependencies", {}).values()
        )
    ]
    ours = {
        str(requirement): requirement.specifier
        for requirement in requirements
        if requirement.name.startswith("durabletask-") and requirement.name != "durabletask-core"
    }
    assert ours
    assert ours == dict.fromkeys(ours, lock_step)
