"""TLS to a real server, in every mode, and what is said when it cannot be had."""

import asyncio
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.servers.postgres import PostgresServer, server_folder, server_user

from durabletask.errors import BackendUnavailableError
from durabletask.postgres import PostgresOptions, PostgresStore

from .scene import Orders, ask, running

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]

ACCESS = """\
local all all trust
hostnossl all postgres 127.0.0.1/32 trust
hostssl all certified 127.0.0.1/32 cert
hostssl all secured 127.0.0.1/32 scram-sha-256
hostssl all postgres 127.0.0.1/32 trust
"""

PASSWORD = "nobody-may-read-this"


class Place:
    """A server with a certificate for ``localhost``, and files to connect with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        authority, stranger = trustme.CA(), trustme.CA()
        served = authority.issue_cert("localhost")
        authority.cert_pem.write_to_path(folder / "ca.pem")
        stranger.cert_pem.write_to_path(folder / "stranger.pem")
        self._write("server", served)
        self._write("client", authority.issue_cert(common_name="certified"))
        self._write("foreign", stranger.issue_cert(common_name="certified"))
        self.server = PostgresServer(
            folder,
            tls=True,
            access=ACCESS,
            ssl="on",
            ssl_cert_file=str(folder / "server.pem"),
            ssl_key_file=str(folder / "server.key"),
            ssl_ca_file=str(folder / "ca.pem"),
        )

    def _write(self, name: str, certificate: trustme.LeafCert) -> None:
        (chain,) = certificate.cert_chain_pems
        chain.write_to_path(self.folder / f"{name}.pem")
        key = self.folder / f"{name}.key"
        certificate.private_key_pem.write_to_path(key)
        key.chmod(0o600)
        if (user := server_user()) is not None and name == "server":
            shutil.chown(key, user)

    def url(self, query: str = "", user: str = "postgres", host: str = "localhost") -> str:
        """With files as ``{ca.pem}``, which stands for the path."""
        for path in self.folder.glob("*.*"):
            query = query.replace(f"{{{path.name}}}", str(path))
        place = f"postgresql://{user}@{host}:{self.server.port}/postgres"
        return f"{place}?{query}" if query else place


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """Such a server; ``certified`` comes with a certificate, ``secured`` with a password."""
    with server_folder() as folder:
        place = Place(folder)
        with place.server:
            asyncio.run(furnish(place.server.url()))
            yield place


async def furnish(url: str) -> None:
    """Make the schema and the roles."""
    await PostgresStore(url).migrate()
    await ask(url, "CREATE ROLE certified LOGIN")
    await ask(url, f"CREATE ROLE secured LOGIN PASSWORD '{PASSWORD}'")
    for role in ("certified", "secured"):
        await ask(url, f"SELECT durabletask.grant_access('{role}', 'worker')")


SECURED = f"secured:{PASSWORD}"

SAFE = [
    ("sslmode=require", "postgres", "127.0.0.1"),
    ("sslmode=require", SECURED, "localhost"),
    ("sslmode=verify-ca&sslrootcert={ca.pem}", "postgres", "127.0.0.1"),
    ("sslmode=verify-full&sslrootcert={ca.pem}", "postgres", "localhost"),
    ("sslmode=verify-full&sslrootcert={ca.pem}", SECURED, "localhost"),
    (
        "sslmode=verify-full&sslrootcert={ca.pem}&sslcert={client.pem}&sslkey={client.key}",
        "certified",
        "localhost",
    ),
    ("ssl_min_protocol_version=TLSv1.3&sslmode=require", "postgres", "localhost"),
    ("", "postgres", "localhost"),  # "prefer" takes what the server offers
]


@pytest.mark.parametrize(("query", "user", "host"), SAFE)
async def test_all_connections_are_encrypted(
    place: Place, query: str, user: str, host: str
) -> None:
    """Commits, polls, queries and notifications; and orchestrations run."""
    name = secrets.token_hex(8)
    options = PostgresOptions(task_hub=name)
    async with running(
        place.url(f"application_name={name}&{query}".rstrip("&"), user, host), options
    ) as client:
        orders = Orders(client, 3)
        await orders.start()
        await orders.see_through()
        sessions = await ask(
            place.server.url(),
            "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
            f"WHERE application_name = '{name}'",
        )
    assert len(sessions) >= 4
    assert all(session["ssl"] for session in sessions)


REFUSED = [
    ("sslmode=verify-ca&sslrootcert={stranger.pem}", SECURED, "localhost", "sslrootcert has to"),
    ("sslmode=verify-full&sslrootcert={stranger.pem}", SECURED, "localhost", "sslrootcert has to"),
    ("sslmode=verify-full&sslrootcert={ca.pem}", SECURED, "127.0.0.1", "host of the URL"),
    ("sslmode=verify-full&sslrootcert={ca.pem}.gone", SECURED, "localhost", "sslrootcert"),
    ("sslmode=verify-full&sslrootcert={server.key}", SECURED, "localhost", "certificates"),
    ("sslmode=require&sslcert={client.pem}.gone", SECURED, "localhost", "sslcert"),
    ("sslmode=sometimes", SECURED, "localhost", "correct the URL"),
    ("sslmode=disable", SECURED, "localhost", "pg_hba.conf"),
    ("sslmode=require", "certified", "localhost", "sslcert"),
    (
        "sslmode=require&sslcert={client.pem}&sslkey={foreign.key}",
        "certified",
        "localhost",
        "certificates",
    ),
    (
        "sslmode=require&sslcert={foreign.pem}&sslkey={foreign.key}",
        "certified",
        "localhost",
        "certificate",
    ),
]


# The driver lets go of a connection that failed in the handshake some passes of the loop later.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("query", "user", "host", "remedy"), REFUSED)
async def test_what_is_not_safe_is_refused(
    place: Place, query: str, user: str, host: str, remedy: str
) -> None:
    """With the remedy, the place, and without the password."""
    store = PostgresStore(place.url(query, user, host))
    with pytest.raises(BackendUnavailableError) as caught:
        await store.open()
    await store.close()
    assert remedy in str(caught.value)
    assert f"{host}:{place.server.port}" in str(caught.value)
    cause: BaseException | None = caught.value
    while cause is not None:
        assert PASSWORD not in f"{cause} {cause!r}"
        cause = cause.__cause__ or cause.__context__


async def test_a_server_without_tls_is_told(postgres: Any) -> None:
    """With the remedy."""
    store = PostgresStore(f"{postgres.dsn}?sslmode=require")
    with pytest.raises(BackendUnavailableError, match="sslmode"):
        await store.open()


async def test_work_goes_on_over_tls(place: Place) -> None:
    """**failure-infra** Also when the server is restarted."""
    query = "sslmode=verify-full&sslrootcert={ca.pem}&sslcert={client.pem}&sslkey={client.key}"
    async with running(place.url(query, "certified")) as client:
        orders = Orders(client, 20)
        await orders.start(10)
        await asyncio.to_thread(place.server.restart, "immediate")
        await orders.start()
        await orders.see_through()
