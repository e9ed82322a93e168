"""The conformance kit of seam 2 is sound itself, and works where its users are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from durabletask.testing.conformance import StoreSuite
from durabletask.testing.conformance.store import ParkSuite, QuerySuite, StoreFixtures

if TYPE_CHECKING:
    from pathlib import Path

AUTHORS_MODULE = """
import msgspec
import pytest

from durabletask.stores.memory import MemoryStore
from durabletask.testing.conformance import StoreSuite
from durabletask.testing.conformance.store import (
    CreateSuite,
    HubSuite,
    ParkSuite,
    QuerySuite,
    StoreFixtures,
)


class PlainStore(MemoryStore):
    @property
    def capabilities(self):
        return msgspec.structs.replace(
            super().capabilities, name="plain", parking=False, query=False, reuse_policy=False
        )


class ForgetfulStore(MemoryStore):
    async def read_history(self, executions):
        return [chunks[:-1] for chunks in await super().read_history(executions)]


class Fixtures(StoreFixtures):
    @pytest.fixture
    def store_factory(self, request):
        async def opened():
            store = self.store_class(request.node.nodeid)
            await store.open()
            return store

        return opened


class TestPlain(Fixtures, CreateSuite, HubSuite, ParkSuite, QuerySuite):
    store_class = PlainStore


class TestForgetful(Fixtures, StoreSuite):
    store_class = ForgetfulStore


class TestNothing(StoreSuite):
    pass
"""


def own_tests(suite: type) -> set[str]:
    """The names of the tests that a suite defines itself."""
    return {name for name in vars(suite) if name.startswith("test_")}


def test_no_suite_hides_a_test_of_another() -> None:
    """In the combined suite every test has a name of its own."""
    names = Counter(name for suite in StoreSuite.__mro__ for name in own_tests(suite))
    assert [name for name, count in names.items() if count > 1] == []


def test_every_test_says_what_it_proves() -> None:
    """The docstring of a test is the sentence of the contract."""
    suites = [suite for suite in StoreSuite.__mro__ if issubclass(suite, StoreFixtures)]
    assert [
        name for suite in suites for name in own_tests(suite) if not vars(suite)[name].__doc__
    ] == []


@pytest.fixture
def abroad(tmp_path: Path) -> Path:
    """A folder of an author, with a test module and no settings at all."""
    (tmp_path / "test_mine.py").write_text(AUTHORS_MODULE, "utf-8")
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    """What pytest says there."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", *arguments]
    environment = {key: text for key, text in os.environ.items() if key != "PYTEST_ADDOPTS"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    return done.stdout


def test_suites_are_gated_by_capabilities(abroad: Path) -> None:
    """What a store declares not to have is skipped, with the reason, and nothing else is."""
    output = run(abroad, "-k", "TestPlain")
    skipped = {
        capability: sum(
            int(count) for count in re.findall(rf"\[(\d+)\].* declares {capability}=False", output)
        )
        for capability in ("parking", "query", "durable", "reuse_policy")
    }
    parametrized_prefixes, parametrized_page_sizes = 8, 4
    queries = len(own_tests(QuerySuite)) - 2 + parametrized_prefixes + parametrized_page_sizes
    assert skipped == {
        "parking": len(own_tests(ParkSuite)),
        "query": queries,
        "durable": 1,
        "reuse_policy": 3,
    }
    assert re.search(r"[1-9]\d* passed", output), output
    assert "failed" not in output, output
    assert "error" not in output, output


def test_a_failure_shows_both_sides(abroad: Path) -> None:
    """Assertions of the kit are explained as those of any test module."""
    output = run(abroad, "-k", "TestForgetful and chunk_by_chunk")
    assert "1 failed" in output, output
    assert re.search(r"^E +At index 0 diff: \[\] != \[b.b0.\]", output, re.M), output


def test_a_forgotten_fixture_is_explained(abroad: Path) -> None:
    """Whoever subclasses the suite and overrides nothing is told what to write."""
    output = run(abroad, "-k", "TestNothing and closes_twice")
    assert "TestNothing must override the fixture store_factory" in output
