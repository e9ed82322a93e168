"""Backend URLs: what they say, and what they must never show.

A URL names a backend, a place and options: ``postgresql://user:secret@db/orders?task_hub=eu``.
It may hold credentials, so its texts for people leave out everything they could hide in, and the
errors about a malformed one repeat no part of it: a password with an unescaped ``/`` or ``#``
turns up anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar
from urllib.parse import quote, unquote

from durabletask.errors import ArgumentTypeError, BackendUrlError
from durabletask.plugins.options import read_options

__all__ = ["ALIASES", "DEFAULT_TASK_HUB", "Alias", "BackendUrl", "Server", "parse_url"]

Options = TypeVar("Options")

DEFAULT_TASK_HUB = "default"


class Alias(NamedTuple):
    """What a spelling of the scheme stands for.

    Attributes:
        backend: the canonical name, under which the backend is registered.
        scheme: the spelling that says the same; it stays if the spelling itself tells the
            backend something (``rediss`` is Redis over TLS).
    """

    backend: str
    scheme: str


ALIASES = {
    "grpcs": Alias("grpc", "grpcs"),
    "postgres": Alias("postgresql", "postgresql"),
    "rediss": Alias("redis", "rediss"),
    "unix": Alias("redis", "unix"),
}
"""Every spelling that is not a backend's own name."""

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)"
    r"(?:\?(?P<query>[^#]*))?(?P<fragment>\#.*)?"
)
_SERVER = re.compile(
    r"(?:(?P<username>[^:@]*)(?::(?P<password>.*))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:@\[\]\s]+)(?::(?P<port>[0-9]{1,5}))?"
)
_OPTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_TASK_HUB = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Server(NamedTuple):
    """Where a server listens, and as whom to talk to it. For drivers; it holds credentials."""

    host: str
    port: int | None
    username: str | None
    password: str | None

    def __repr__(self) -> str:
        return f"Server(host={self.host!r}, port={self.port!r})"


@dataclass(frozen=True, repr=False)
class BackendUrl:
    """A parsed backend URL. Equal ones mean the same task hub.

    ``str`` and ``repr`` show neither user, password nor the values of options.

    Attributes:
        backend: canonical name of the backend that serves it, e.g. ``"redis"``.
        scheme: canonical spelling of the scheme, e.g. ``"rediss"``.
        authority: the raw text between ``//`` and the path; see :meth:`server`.
        path: from the first ``/`` on, percent-decoded.
        task_hub: 1 to 64 of ``A-Z a-z 0-9 _ . -``.
        query: the other options, percent-decoded; see :meth:`options`.
    """

    backend: str
    scheme: str
    authority: str
    path: str
    task_hub: str
    query: Mapping[str, str] = field(hash=False)

    def options(self, kind: type[Options]) -> Options:
        """Build ``kind``, a dataclass with a default for every field, from the query.

        A field ``task_hub`` gets the task hub; one with ``metadata={"url": False}`` cannot be
        set by a URL.

        Raises:
            BackendUrlError: an option is unknown (known and nearest names are listed) or its
                value does not fit the field's type.
        """
        return read_options(str(self), self.query, self.task_hub, kind)

    def server(self) -> Server:
        """The authority as a server's address, ``[user[:password]@]host[:port]``.

        Raises:
            BackendUrlError: there is no host, or the port is no number from 1 to 65535.
        """
        match = _SERVER.fullmatch(self.authority)
        port = int(match["port"]) if match and match["port"] else None
        if match is None or (port is not None and not 1 <= port <= 65535):
            raise BackendUrlError(
                f"a {self.scheme} URL needs {self.scheme}://[user[:password]@]host[:port], with a "
                "port from 1 to 65535; percent-encode : / ? # @ in user and password"
            )
        user, password = match["username"], match["password"]
        return Server(
            host=unquote(match["host"].strip("[]")),
            port=port,
            username=None if user is None else unquote(user),
            password=None if password is None else unquote(password),
        )

    def local_path(self) -> str:
        """The file that the URL names: relative after three slashes, absolute after four.

        Windows drives need no fourth: ``sqlite:///C:/data/orders.db``.

        Raises:
            BackendUrlError: the file stands where a host would, or there is none.
        """
        if self.authority or not self.path.strip("/"):
            raise BackendUrlError(
                f"a {self.scheme} URL has no host: a file follows three slashes, as in "
                f"{self.scheme}:///orders.db, and an absolute path four, as in "
                f"{self.scheme}:////var/lib/orders.db"
            )
        return self.path[1:]

    def reveal(self) -> str:
        """The canonical text with everything in it, credentials too. Not for logs or errors."""
        values = {name: quote(value, safe="/:") for name, value in self.query.items()}
        return self._text(self.authority, values)

    def __str__(self) -> str:
        _, at, host = self.authority.rpartition("@")
        return self._text(f"***{at}{host}" if at else host, dict.fromkeys(self.query, "***"))

    def __repr__(self) -> str:
        return f"BackendUrl({str(self)!r})"

    def _text(self, authority: str, query: Mapping[str, str]) -> str:
        pairs = [f"{name}={query[name]}" for name in sorted(query)]
        if self.task_hub != DEFAULT_TASK_HUB:
            pairs.append(f"task_hub={self.task_hub}")
        path = quote(self.path, safe="/:\\ ")
        return f"{self.scheme}://{authority}{path}" + ("?" + "&".join(pairs) if pairs else "")


def parse_url(url: str, *, task_hub: str | None = None) -> BackendUrl:
    """Read a backend URL: the scheme's aliases resolved, the task hub checked, nothing opened.

    Args:
        task_hub: the task hub if the URL names none; None is ``"default"``.

    Raises:
        ArgumentTypeError: the URL or the task hub is no str.
        BackendUrlError: it is malformed, the task hub's name is, or two hubs are named. Whether
            the backend exists and knows the options is not looked at here.
    """
    _check_text(url, "a backend URL")
    match = _URL.fullmatch(url)
    if match is None or _CONTROL.search(url) or url != url.strip():
        raise _malformed(
            "it must read scheme://place?option=value, as in sqlite:///orders.db, without "
            "surrounding blanks or control characters"
        )
    if match["fragment"] is not None:
        raise _malformed("it has no part after a #; write %23 for a # that belongs to a value")
    if match["authority"] and "@" in match["path"] + (match["query"] or ""):
        raise _malformed(
            "there is an @ after the first / or ?; percent-encode / ? # @ in the password, and "
            "write %40 for an @ in the path or in an option"
        )
    query = _parse_query(match["query"] or "")
    task_hub = _choose_hub(query.pop("task_hub", None), task_hub)
    spelling = match["scheme"].lower()
    alias = ALIASES.get(spelling, Alias(spelling, spelling))
    return BackendUrl(
        backend=alias.backend,
        scheme=alias.scheme,
        authority=_canonical_authority(match["authority"]),
        path=_decode(match["path"]),
        task_hub=task_hub,
        query=query,
    )


def _canonical_authority(text: str) -> str:
    """The host in lower case, unless it is the encoded path of a socket."""
    userinfo, at, host = text.rpartition("@")
    return userinfo + at + (host if "%" in host else host.lower())


def _choose_hub(in_url: str | None, beside: str | None) -> str:
    """The name of the task hub, which the URL or the caller, or neither, has given."""
    names = {name for name in (in_url, beside) if name is not None} or {DEFAULT_TASK_HUB}
    for name in names:
        _check_text(name, "the name of a task hub")
        if not _TASK_HUB.fullmatch(name):
            raise BackendUrlError(
                f"{name[:80]!r} is no name for a task hub: it takes 1 to 64 letters, digits, "
                "underscores, dots and hyphens"
            )
    if len(names) > 1:
        raise BackendUrlError(
            f"the URL names the task hub {in_url!r} and the caller {beside!r}: leave one out"
        )
    return names.pop()


def _parse_query(text: str) -> dict[str, str]:
    """The options, decoded. Unlike in forms, ``+`` is a plus sign."""
    query: dict[str, str] = {}
    for pair in filter(None, text.split("&")):
        name, equals, value = pair.partition("=")
        if not equals or not _OPTION_NAME.fullmatch(name):
            raise _malformed("after the ? come options, name=value, separated by &")
        if name in query:
            raise _malformed(f"the option {name!r} is given twice")
        query[name] = _decode(value)
    return query


def _check_text(value: object, what: str) -> None:
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{what} is a str, not {type(value).__name__}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise BackendUrlError(f"{what} is not valid Unicode") from None


def _decode(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise _malformed("a percent-encoded part is not UTF-8") from None


def _malformed(reason: str) -> BackendUrlError:
    return BackendUrlError(f"malformed backend URL: {reason}")
