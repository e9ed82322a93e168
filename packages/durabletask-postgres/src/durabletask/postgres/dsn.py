"""From a backend URL to what the driver takes: libpq's parameters are passed on, ours are not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from durabletask.errors import BackendUrlError

if TYPE_CHECKING:
    from durabletask.plugins import BackendUrl

__all__ = ["split"]

PASSED = frozenset(
    {
        "application_name",
        "database",
        "dbname",
        "direct_tls",
        "gsslib",
        "host",
        "krbsrvname",
        "options",
        "passfile",
        "password",
        "port",
        "service",
        "servicefile",
        "ssl_max_protocol_version",
        "ssl_min_protocol_version",
        "sslcert",
        "sslcrl",
        "sslkey",
        "sslmode",
        "sslnegotiation",
        "sslpassword",
        "sslrootcert",
        "target_session_attrs",
        "user",
    }
)
"""Connection parameters of libpq that the driver understands."""

FOREIGN = frozenset(
    {
        "channel_binding",
        "client_encoding",
        "fallback_application_name",
        "gssencmode",
        "hostaddr",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "load_balance_hosts",
        "replication",
        "require_auth",
        "requirepeer",
        "sslcompression",
        "sslcrldir",
        "sslsni",
        "tcp_user_timeout",
    }
)
"""Connection parameters of libpq that the driver has no equivalent for."""


def split(url: BackendUrl) -> tuple[str, BackendUrl]:
    """The driver's DSN, which holds credentials, and the URL with what is left for our options.

    Raises:
        BackendUrlError: a parameter of libpq cannot be passed on.
    """
    if foreign := sorted(FOREIGN & url.query.keys()):
        raise BackendUrlError(
            f"{url}: the driver cannot do what {', '.join(map(repr, foreign))} asks for; leave it "
            "out, or pass a pool of your own to PostgresBackend"
        )
    passed = {name: value for name, value in url.query.items() if name in PASSED}
    ours = {name: value for name, value in url.query.items() if name not in PASSED}
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in passed.items())
    path = quote(url.path, safe="/")
    dsn = f"postgresql://{url.authority}{path}" + (f"?{query}" if query else "")
    return dsn, replace(url, query=ours)
