"""Finding plugins: by the scheme of a URL, one entry point at a time, when it is asked for."""

from __future__ import annotations

import functools
import logging
import re
import threading
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import pluggy

from durabletask.backend import Backend
from durabletask.errors import BackendError, BackendNotFoundError, ConfigurationError
from durabletask.plugins import spec
from durabletask.plugins.options import did_you_mean
from durabletask.plugins.url import ALIASES

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from durabletask.backend import WorkerProfile
    from durabletask.plugins.command import Command
    from durabletask.plugins.url import BackendUrl

__all__ = ["BACKENDS", "COMMANDS", "OBSERVERS", "PluginManager", "plugin_manager"]

BACKENDS = "durabletask.backends"
COMMANDS = "durabletask.commands"
OBSERVERS = "durabletask.observers"

EMBEDDED = frozenset({"memory", "sqlite"})
"""The backends that come with the core."""

EXTRAS = {
    "azuremanaged": "azuremanaged",
    "grpc": "grpc",
    "postgresql": "postgres",
    "redis": "redis",
}
"""Our other backends, and the extra of the core that installs each with its driver."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")

logger = logging.getLogger(__name__)


class PluginManager:
    """The plugins of one process: backends by canonical scheme, observers, and commands.

    Safe to use from several threads, each with an event loop of its own.
    """

    def __init__(self) -> None:
        self._plugins = pluggy.PluginManager(spec.PROJECT)
        self._plugins.add_hookspecs(spec)
        # Which plugin serves a scheme is kept here and not in pluggy's names: pluggy refuses one
        # object under two names, but one module may well serve two schemes.
        self._backends: dict[str, object] = {}
        self._has_observers = False
        self._lock = threading.RLock()

    # --- backends ------------------------------------------------------------------------------

    def register(self, scheme: str, plugin: object) -> None:
        """Let ``plugin`` serve the URLs of a scheme in this process, instead of an entry point.

        Raises:
            ConfigurationError: the scheme is malformed, an alias, or taken in this process.
            BackendError: ``plugin`` has no valid ``durabletask_backend`` hook.
        """
        if not _SCHEME.fullmatch(scheme):
            raise ConfigurationError(
                f"{scheme!r} is no scheme: it takes a lower-case letter, then lower-case letters, "
                "digits, dots and hyphens"
            )
        if scheme in ALIASES:
            raise ConfigurationError(
                f"{scheme!r} is another spelling of {ALIASES[scheme].backend!r}: register that"
            )
        with self._lock:
            if scheme in self._backends:
                raise ConfigurationError(
                    f"the scheme {scheme!r} is already served by {self._backends[scheme]!r}: "
                    "unregister it first"
                )
            self._add(plugin, f"the plugin for {scheme!r} URLs", needs="durabletask_backend")
            self._backends[scheme] = plugin

    def unregister(self, scheme: str) -> None:
        """Forget the plugin of a scheme; the next use looks for its entry point again."""
        with self._lock:
            plugin = self._backends.pop(scheme, None)
            if plugin is not None and not any(plugin is p for p in self._backends.values()):
                self._plugins.unregister(plugin)

    def require(self, scheme: str) -> object:
        """The plugin for a canonical scheme, loaded if it was not.

        Raises:
            BackendNotFoundError: no plugin serves the scheme, or it cannot be imported.
            ConfigurationError: two distributions serve it.
            BackendError: the plugin has no valid ``durabletask_backend`` hook.
        """
        with self._lock:
            if scheme not in self._backends:
                self.register(scheme, self._load(scheme))
            return self._backends[scheme]

    def build(self, url: BackendUrl) -> Backend:
        """Build the backend for a URL, unopened.

        Raises:
            BackendNotFoundError: no plugin serves the scheme, or it lacks its driver.
            BackendUrlError: the backend cannot use this URL.
            BackendError: the plugin breaks the rules of its hook.
        """
        with self._lock:
            serving = self.require(url.backend)
            others = [plugin for plugin in self._backends.values() if plugin is not serving]
        ask = self._plugins.subset_hook_caller("durabletask_backend", remove_plugins=others)
        try:
            backend = ask(url=url)
        except ImportError as error:
            raise BackendNotFoundError(_unimportable(url.backend, error)) from error
        if not isinstance(backend, Backend):
            raise BackendError(
                f"the plugin for {url.backend!r} URLs gave {type(backend).__name__} instead of a "
                f"Backend for {url}: its durabletask_backend hook must return one"
            )
        return backend

    def _load(self, scheme: str) -> object:
        found = {entry.value: entry for entry in entry_points(group=BACKENDS, name=scheme)}
        if not found:
            raise BackendNotFoundError(self._unknown(scheme))
        if len(found) > 1:
            raise ConfigurationError(
                f"several installed distributions serve {scheme!r} URLs: "
                f"{', '.join(sorted(map(_origin, found.values())))}; uninstall all but one"
            )
        (entry,) = found.values()
        try:
            return entry.load()
        except (ImportError, AttributeError) as error:
            raise BackendNotFoundError(_unimportable(scheme, error)) from error

    def _unknown(self, scheme: str) -> str:
        installed = sorted({*entry_points(group=BACKENDS).names, *self._backends})
        text = f"no backend for {scheme!r} URLs is installed"
        if scheme in EXTRAS:
            text += f': pip install "durabletask-core[{EXTRAS[scheme]}]"'
        elif scheme in EMBEDDED:
            text += ", though the core brings one: pip install --force-reinstall durabletask-core"
        else:
            text += did_you_mean(scheme, sorted({*installed, *EXTRAS, *EMBEDDED, *ALIASES}))
        return f"{text}; installed: {', '.join(installed) or 'none'}"

    # --- observers -----------------------------------------------------------------------------

    def observe(self, plugin: object) -> None:
        """Add an observer in this process; a no-op if it is registered already.

        Raises:
            BackendError: one of its hooks is not valid.
        """
        with self._lock:
            self._add(plugin, f"the observer {plugin!r}")

    def worker_started(self, profile: WorkerProfile) -> None:
        """Tell the observers that a worker is ready; loads the installed ones first."""
        self._load_observers()
        try:
            self._plugins.hook.durabletask_worker_started(profile=profile)
        except Exception:
            logger.exception("an observer failed when worker %r started", profile.name)

    def worker_stopped(self, profile: WorkerProfile) -> None:
        """Tell the observers that a worker is done."""
        try:
            self._plugins.hook.durabletask_worker_stopped(profile=profile)
        except Exception:
            logger.exception("an observer failed when worker %r stopped", profile.name)

    def _load_observers(self) -> None:
        with self._lock:
            if self._has_observers:
                return
            self._has_observers = True
            for entry in entry_points(group=OBSERVERS):
                # An observer that cannot be loaded must not keep workers from their work.
                try:
                    self.observe(entry.load())
                except Exception:
                    logger.exception("the observer %s cannot be loaded", _origin(entry))

    # --- commands ------------------------------------------------------------------------------

    def commands(self) -> dict[str, Command]:
        """The installed sub-commands of the program ``durabletask``, by name.

        Raises:
            ConfigurationError: two of them have the same name.
        """
        brought: dict[str, Command] = {}
        for entry in entry_points(group=COMMANDS):
            # A distribution that is broken must not take the other commands away.
            try:
                plugin = entry.load()
                self._add(plugin, f"the plugin {_origin(entry)}", needs="durabletask_commands")
                others = [other for other in self._plugins.get_plugins() if other is not plugin]
                ask = self._plugins.subset_hook_caller("durabletask_commands", others)
                found = {command.name: command for commands in ask() for command in commands}
            except Exception:
                logger.exception("the commands of %s cannot be loaded", _origin(entry))
                continue
            if twice := brought.keys() & found.keys():
                raise ConfigurationError(
                    f"several installed distributions bring the command {min(twice)!r}: uninstall "
                    f"all but one; the last of them is {_origin(entry)}"
                )
            brought |= found
        return brought

    # --- all of them ---------------------------------------------------------------------------

    def _add(self, plugin: object, what: str, needs: str | None = None) -> None:
        if not self._plugins.is_registered(plugin):
            try:
                self._plugins.register(plugin)
                self._plugins.check_pending()
            except pluggy.PluginValidationError as error:
                if self._plugins.is_registered(plugin):
                    self._plugins.unregister(plugin)
                raise BackendError(f"{what} has an invalid hook: {error}") from error
        hooks = {hook.name for hook in self._plugins.get_hookcallers(plugin) or ()}
        if needs is not None and needs not in hooks:
            self._plugins.unregister(plugin)
            raise BackendError(
                f"{what} has no hook {needs}: define it in {plugin!r} and mark it with "
                "durabletask.plugins.hookimpl"
            )


def _origin(entry: EntryPoint) -> str:
    return f"{entry.value} ({entry.dist.name if entry.dist else 'unknown distribution'})"


def _unimportable(scheme: str, error: ImportError | AttributeError) -> str:
    """What keeps an installed backend from being loaded, and what to do about it."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        reason = f"it needs the module {error.name!r}, which is not installed"
    else:
        reason = f"{type(error).__name__}: {error}"
    text = f"the backend for {scheme!r} URLs cannot be loaded: {reason}"
    if scheme in EXTRAS:
        return f'{text}; pip install "durabletask-core[{EXTRAS[scheme]}]"'
    origins = [_origin(entry) for entry in entry_points(group=BACKENDS, name=scheme)]
    return f"{text}; it belongs to {', '.join(origins)}" if origins else text


@functools.cache
def plugin_manager() -> PluginManager:
    """The plugin manager of this process."""
    return PluginManager()
