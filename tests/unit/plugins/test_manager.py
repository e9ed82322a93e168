"""Finding plugins: one entry point at a time, and what is said when there is none."""

import logging
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from durabletask.backend import WorkerProfile
from durabletask.errors import BackendError, BackendNotFoundError, ConfigurationError
from durabletask.plugins import PluginManager, hookimpl, parse_url

Install = Callable[..., str]


@pytest.fixture
def manager() -> PluginManager:
    """A manager that has not looked for anything yet."""
    return PluginManager()


PLUGIN = """
from durabletask.plugins import hookimpl

@hookimpl
def durabletask_backend(url):
    return None
"""


def plugin_for(answer: Any) -> object:
    """A plugin whose hook gives `answer`, or raises it."""

    class Plugin:
        @hookimpl
        def durabletask_backend(self, url: object) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        def __repr__(self) -> str:
            return "Plugin()"

    return Plugin()


# --- by entry point ----------------------------------------------------------------------------


def test_nothing_is_loaded_before_it_is_asked_for(install: Install, manager: PluginManager) -> None:
    """Only the module of the very scheme is imported, and only then."""
    wanted = install("quill-backend", PLUGIN, "quill")
    other = install("other-backend", "raise AssertionError('not asked for')", "other")
    assert wanted not in sys.modules
    assert manager.require("quill") is sys.modules[wanted]
    assert other not in sys.modules


def test_a_plugin_is_loaded_once(install: Install, manager: PluginManager) -> None:
    """What was found stays."""
    module = install("once-backend", PLUGIN, "once")
    assert manager.require("once") is manager.require("once")
    assert module in sys.modules


def test_one_module_may_serve_two_schemes(install: Install, manager: PluginManager) -> None:
    """Though pluggy takes an object under one name only."""
    install("twin-backend", PLUGIN, "twin", "twins")
    assert manager.require("twin") is manager.require("twins")
    manager.unregister("twin")
    assert manager.require("twins") is manager.require("twin")


def test_two_distributions_for_one_scheme_are_refused(
    install: Install, manager: PluginManager
) -> None:
    """Nobody can say which one was meant."""
    install("first-pen", PLUGIN, "pen")
    install("second-pen", PLUGIN, "pen")
    with pytest.raises(ConfigurationError) as caught:
        manager.require("pen")
    assert str(caught.value) == (
        "several installed distributions serve 'pen' URLs: first_pen (first-pen), second_pen "
        "(second-pen); uninstall all but one"
    )


@pytest.mark.parametrize(
    ("scheme", "error"),
    [
        ("sqlit", "no backend for 'sqlit' URLs is installed (did you mean 'sqlite'?)"),
        ("postgre", "no backend for 'postgre' URLs is installed (did you mean 'postgres'?)"),
        ("quil", "no backend for 'quil' URLs is installed (did you mean 'quill'?)"),
        ("zzz", "no backend for 'zzz' URLs is installed"),
        (
            "postgresql",
            "no backend for 'postgresql' URLs is installed: "
            'pip install "durabletask-core[postgres]"',
        ),
        (
            "redis",
            "no backend for 'redis' URLs is installed: pip install \"durabletask-core[redis]\"",
        ),
        ("grpc", "no backend for 'grpc' URLs is installed: pip install \"durabletask-core[grpc]\""),
        (
            "azuremanaged",
            "no backend for 'azuremanaged' URLs is installed: "
            'pip install "durabletask-core[azuremanaged]"',
        ),
    ],
)
def test_unknown_schemes(
    install: Install, monkeypatch: pytest.MonkeyPatch, scheme: str, error: str
) -> None:
    """The error knows what is installed, what is near, and what could be installed."""
    install("quill-backend", PLUGIN, "quill")
    only(monkeypatch, {"quill", "memory", "sqlite"})
    manager = PluginManager()
    manager.register("ink", plugin_for(None))
    with pytest.raises(BackendNotFoundError) as caught:
        manager.require(scheme)
    assert str(caught.value) == f"{error}; installed: ink, memory, quill, sqlite"


def test_a_core_without_its_entry_points(
    monkeypatch: pytest.MonkeyPatch, manager: PluginManager
) -> None:
    """Copied sources are no installation."""
    only(monkeypatch, set())
    with pytest.raises(BackendNotFoundError) as caught:
        manager.require("sqlite")
    assert str(caught.value) == (
        "no backend for 'sqlite' URLs is installed, though the core brings one: "
        "pip install --force-reinstall durabletask-core; installed: none"
    )


def without(monkeypatch: pytest.MonkeyPatch, distribution: str) -> None:
    """Let this distribution count as not installed, though this environment may have it."""
    from durabletask.plugins import manager

    found = manager.entry_points

    def entry_points(**wanted: str) -> Any:
        chosen = found(**wanted)
        return type(chosen)(entry for entry in chosen if entry.dist.name != distribution)

    monkeypatch.setattr(manager, "entry_points", entry_points)


def only(monkeypatch: pytest.MonkeyPatch, names: set[str]) -> None:
    """Let only these backends count as installed, whatever else this environment has."""
    from durabletask.plugins import manager

    found = manager.entry_points

    def entry_points(**wanted: str) -> Any:
        chosen = found(**wanted)
        for name in chosen.names - names:
            chosen = type(chosen)(entry for entry in chosen if entry.name != name)
        return chosen

    monkeypatch.setattr(manager, "entry_points", entry_points)


# --- what is wrong with a plugin ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "import no_such_driver.fast",
            "it needs the module 'no_such_driver', which is not installed",
        ),
        (
            "from sys import no_such_name",
            "ImportError: cannot import name 'no_such_name' from 'sys' (unknown location)",
        ),
    ],
)
def test_a_plugin_that_cannot_be_imported(
    install: Install, manager: PluginManager, source: str, reason: str
) -> None:
    """A stranger's: the error says what is missing and whose it is."""
    install("bad-pen", source, "bad")
    with pytest.raises(BackendNotFoundError) as caught:
        manager.require("bad")
    assert str(caught.value) == (
        f"the backend for 'bad' URLs cannot be loaded: {reason}; it belongs to bad_pen (bad-pen)"
    )
    assert isinstance(caught.value.__cause__, ImportError)
    sys.modules.pop("bad_pen", None)


def test_an_entry_point_that_leads_nowhere(install: Install, manager: PluginManager) -> None:
    """The module is there and lacks the object."""
    install("gone-pen", "", "gone = gone_pen:plugin")
    with pytest.raises(BackendNotFoundError) as caught:
        manager.require("gone")
    assert str(caught.value) == (
        "the backend for 'gone' URLs cannot be loaded: AttributeError: module 'gone_pen' has no "
        "attribute 'plugin'; it belongs to gone_pen:plugin (gone-pen)"
    )


MISSING_DRIVER = (
    "the backend for 'redis' URLs cannot be loaded: it needs the module 'no_such_driver', which is "
    'not installed; pip install "durabletask-core[redis]"'
)


def test_a_first_party_plugin_without_its_driver(
    install: Install, manager: PluginManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra brings the driver; imported by the plugin's module."""
    without(monkeypatch, "durabletask-redis")
    install("redis-pen", "import no_such_driver", "redis")
    with pytest.raises(BackendNotFoundError) as caught:
        manager.build(parse_url("rediss://host"))
    assert str(caught.value) == MISSING_DRIVER
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_hook_without_its_driver(manager: PluginManager) -> None:
    """As above; imported by the hook."""
    error = ModuleNotFoundError("No module named 'no_such_driver'", name="no_such_driver")
    manager.register("redis", plugin_for(error))
    with pytest.raises(BackendNotFoundError) as caught:
        manager.build(parse_url("redis://host"))
    assert str(caught.value) == MISSING_DRIVER
    assert caught.value.__cause__ is error


def test_a_registered_plugin_without_its_driver(manager: PluginManager) -> None:
    """It belongs to no distribution."""
    manager.register("pen", plugin_for(ImportError("no ink")))
    with pytest.raises(BackendNotFoundError) as caught:
        manager.build(parse_url("pen://"))
    assert str(caught.value) == "the backend for 'pen' URLs cannot be loaded: ImportError: no ink"


def test_a_plugin_needs_the_hook(manager: PluginManager) -> None:
    """A module that forgot the marker."""
    with pytest.raises(BackendError) as caught:
        manager.register("pen", plugin := SimpleNamespace(durabletask_backend=lambda url: None))
    assert str(caught.value) == (
        "the plugin for 'pen' URLs has no hook durabletask_backend: define it in "
        f"{plugin!r} and mark it with durabletask.plugins.hookimpl"
    )


def test_a_hook_takes_the_arguments_of_its_spec(manager: PluginManager) -> None:
    """Whatever pluggy finds is passed on, and nothing of the plugin stays."""

    class Wrong:
        @hookimpl
        def durabletask_backend(self, address: str) -> None: ...

    with pytest.raises(BackendError) as caught:
        manager.register("pen", Wrong())
    assert str(caught.value).startswith("the plugin for 'pen' URLs has an invalid hook: ")
    assert "address" in str(caught.value)
    manager.register("pen", plugin_for(None))


def test_a_hook_that_does_not_exist(manager: PluginManager) -> None:
    """A slip of the pen in its name."""

    class Wrong:
        @hookimpl
        def durabletask_backends(self, url: object) -> None: ...

    with pytest.raises(BackendError) as caught:
        manager.register("pen", Wrong())
    assert str(caught.value).startswith("the plugin for 'pen' URLs has an invalid hook: ")
    assert "durabletask_backends" in str(caught.value)


@pytest.mark.parametrize(("answer", "named"), [(None, "NoneType"), ("backend", "str")])
def test_a_hook_that_gives_no_backend(manager: PluginManager, answer: Any, named: str) -> None:
    """None is how it declines; nobody else is asked."""
    manager.register("pen", plugin_for(answer))
    with pytest.raises(BackendError) as caught:
        manager.build(parse_url("pen://me:hunter2@host"))
    assert str(caught.value) == (
        f"the plugin for 'pen' URLs gave {named} instead of a Backend for pen://***@host: its "
        "durabletask_backend hook must return one"
    )


# --- in this process ---------------------------------------------------------------------------


def test_only_the_plugin_of_the_scheme_is_asked(manager: PluginManager, site: Any) -> None:
    """A backend that serves everything must not get other backends' URLs."""
    manager.register("site", site)
    manager.register("greedy", plugin_for(AssertionError("asked for another's URL")))
    assert manager.build(parse_url("site://")) is site.built[-1]


def test_a_registered_plugin_hides_the_installed_one(manager: PluginManager, site: Any) -> None:
    """Until it is unregistered."""
    manager.register("memory", site)
    assert manager.build(parse_url("memory://")) is site.built[-1]
    manager.unregister("memory")
    assert manager.require("memory") is not site


def test_a_scheme_is_registered_once(manager: PluginManager) -> None:
    """By whomever."""
    manager.register("pen", plugin_for(None))
    with pytest.raises(ConfigurationError) as caught:
        manager.register("pen", plugin_for(None))
    assert str(caught.value) == (
        "the scheme 'pen' is already served by Plugin(): unregister it first"
    )


def test_aliases_are_not_registered(manager: PluginManager) -> None:
    """URLs of an alias are served by what it stands for."""
    with pytest.raises(ConfigurationError) as caught:
        manager.register("postgres", plugin_for(None))
    assert str(caught.value) == "'postgres' is another spelling of 'postgresql': register that"


@pytest.mark.parametrize("scheme", ["", "Pen", "1pen", "a_b", "a://"])
def test_schemes_have_plain_names(manager: PluginManager, scheme: str) -> None:
    """Others could not stand in a URL."""
    with pytest.raises(ConfigurationError) as caught:
        manager.register(scheme, plugin_for(None))
    assert str(caught.value) == (
        f"{scheme!r} is no scheme: it takes a lower-case letter, then lower-case letters, digits, "
        "dots and hyphens"
    )


def test_unregistering_an_unknown_scheme_does_nothing(manager: PluginManager) -> None:
    """So a test may always clean up."""
    manager.unregister("pen")


# --- observers ---------------------------------------------------------------------------------

PROFILE = WorkerProfile(
    orchestrations={}, activities=frozenset(), max_orchestrations=1, max_activities=1, name="w"
)

OBSERVER = """
from durabletask.plugins import hookimpl
heard = []

@hookimpl
def durabletask_worker_started(profile):
    heard.append(("started", profile))

@hookimpl
def durabletask_worker_stopped(profile):
    heard.append(("stopped", profile))
"""


def test_observers_hear_of_workers(install: Install, manager: PluginManager) -> None:
    """Installed ones are loaded when the first worker starts."""
    module = install("ear-observer", OBSERVER, "ear", group="durabletask.observers")
    assert module not in sys.modules
    manager.worker_started(PROFILE)
    manager.worker_stopped(PROFILE)
    manager.worker_started(PROFILE)
    assert sys.modules[module].heard == [
        ("started", PROFILE),
        ("stopped", PROFILE),
        ("started", PROFILE),
    ]


def test_observers_harm_no_worker(
    install: Install, manager: PluginManager, caplog: pytest.LogCaptureFixture
) -> None:
    """What goes wrong in them is logged: at loading, at starting, at stopping."""

    class Grumpy:
        @hookimpl
        def durabletask_worker_started(self) -> None:
            raise RuntimeError("no")

        @hookimpl
        def durabletask_worker_stopped(self) -> None:
            raise RuntimeError("no")

    install("deaf-observer", "import no_such_driver", "deaf", group="durabletask.observers")
    manager.observe(Grumpy())
    with caplog.at_level(logging.ERROR, "durabletask.plugins.manager"):
        manager.worker_started(PROFILE)
        manager.worker_stopped(PROFILE)
    assert [record.getMessage() for record in caplog.records] == [
        "the observer deaf_observer (deaf-observer) cannot be loaded",
        "an observer failed when worker 'w' started",
        "an observer failed when worker 'w' stopped",
    ]
    assert all(record.exc_info for record in caplog.records)


def test_an_observer_is_added_once(manager: PluginManager) -> None:
    """However often it is added."""
    heard = []

    class Ear:
        @hookimpl
        def durabletask_worker_started(self, profile: WorkerProfile) -> None:
            heard.append(profile)

    ear = Ear()
    manager.observe(ear)
    manager.observe(ear)
    manager.worker_started(PROFILE)
    assert heard == [PROFILE]


def test_an_observer_with_an_invalid_hook(manager: PluginManager) -> None:
    """It is refused by name."""

    class Ear:
        @hookimpl
        def durabletask_worker_started(self, worker: object) -> None: ...

        def __repr__(self) -> str:
            return "Ear()"

    with pytest.raises(BackendError, match=r"^the observer Ear\(\) has an invalid hook: "):
        manager.observe(Ear())


def test_an_observer_may_wrap_the_building(manager: PluginManager, site: Any) -> None:
    """The one hook of backends that others may stand around."""
    seen = []

    class Wrapper:
        @hookimpl(wrapper=True)
        def durabletask_backend(self, url: object) -> Any:
            built = yield
            seen.append((str(url), built))
            return built

    manager.observe(Wrapper())
    manager.register("site", site)
    built = manager.build(parse_url("site://h"))
    assert seen == [("site://h", built)]
