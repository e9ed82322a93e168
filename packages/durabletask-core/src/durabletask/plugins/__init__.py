"""Backends, observers and commands: URLs, hooks, discovery, the sharing of open backends."""

from durabletask.plugins.command import Command
from durabletask.plugins.connect import DEFAULT_URL, URL_VARIABLE, connect, resolve_url
from durabletask.plugins.manager import PluginManager, plugin_manager
from durabletask.plugins.sharing import Lease, SharedBackend
from durabletask.plugins.spec import hookimpl
from durabletask.plugins.url import BackendUrl, Server, parse_url

__all__ = [
    "DEFAULT_URL",
    "URL_VARIABLE",
    "BackendUrl",
    "Command",
    "Lease",
    "PluginManager",
    "Server",
    "SharedBackend",
    "connect",
    "hookimpl",
    "parse_url",
    "plugin_manager",
    "resolve_url",
]
