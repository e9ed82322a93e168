"""A backend that only opens and closes, and distributions that are only an entry point."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from durabletask.backend import Backend, Capabilities
from durabletask.plugins import BackendUrl, hookimpl, plugin_manager


class Site:
    """Serves `site://` URLs: every backend it built, and how the next ones behave."""

    def __init__(self) -> None:
        self.built: list[Any] = []
        self.events: list[str] = []
        self.durable = True
        self.gate = asyncio.Event()
        self.gate.set()
        self.opening_error: Exception | None = None
        self.closing_error: Exception | None = None

    @hookimpl
    def durabletask_backend(self, url: BackendUrl) -> Backend:
        """Build one more."""
        self.built.append(build_backend(self, len(self.built) + 1))
        return self.built[-1]


def build_backend(site: Site, number: int) -> Backend:
    """A backend whose life is written down in `site.events`; all else it refuses to do."""

    def refuse(*_: object) -> None:
        raise AssertionError("nobody should have called this")

    async def enter(self: Backend) -> None:
        await site.gate.wait()
        if site.opening_error is not None:
            site.events.append(f"fail {number}")
            raise site.opening_error
        site.events.append(f"open {number}")

    async def leave(self: Backend) -> None:
        await asyncio.sleep(0)
        site.events.append(f"close {number}")
        if site.closing_error is not None:
            raise site.closing_error

    capabilities = property(lambda self: Capabilities(name="site", durable=site.durable))
    members = dict.fromkeys(Backend.__abstractmethods__, refuse)
    members |= {"open": enter, "close": leave, "capabilities": capabilities}
    return type("SiteBackend", (Backend,), members)()


@pytest.fixture
def site() -> Iterator[Site]:
    """The plugin that serves `site://` URLs during the test."""
    site = Site()
    plugin_manager().register("site", site)
    yield site
    plugin_manager().unregister("site")


Install = Callable[..., str]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Makes an installed distribution of one module, named after it, with the given source.

    Entries are `name = object`, or names of the module itself.
    """
    monkeypatch.syspath_prepend(tmp_path)

    def install(
        distribution: str, source: str, *entries: str, group: str = "durabletask.backends"
    ) -> str:
        module = distribution.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source, "utf-8")
        folder = tmp_path / f"{module}-1.0.dist-info"
        folder.mkdir()
        lines = [entry if "=" in entry else f"{entry} = {module}" for entry in entries]
        (folder / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]), "utf-8")
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\n", "utf-8")
        return module

    return install
