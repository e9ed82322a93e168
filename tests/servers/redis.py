"""Private Redis servers on loopback, to be killed, restarted and set up as a test likes."""

from __future__ import annotations

import resource
import subprocess
import time
from typing import TYPE_CHECKING, Any, Self

import redis

from .ports import free_port
from .redis_binary import redis_server

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 20.0


class RedisServer:
    """A server process of its own, with its files in ``folder``.

    Settings are the lines of a configuration file, with ``_`` for ``-``.
    """

    def __init__(self, folder: Path, port: int | None = None, **settings: Any) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.password: str | None = settings.get("requirepass")
        self._settings: dict[str, Any] = {
            "bind": "127.0.0.1",
            "port": self.port,
            "dir": folder,
            "save": '""',
            "appendonly": "yes",
            "appendfsync": "everysec",
            "logfile": folder / "redis.log",
            "pidfile": folder / "redis.pid",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._mode: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Its URL, with the password if it has one."""
        secret = f":{self.password}@" if self.password else ""
        return f"redis://{secret}127.0.0.1:{self.port}"

    def start(self, *mode: str) -> Self:
        """Start it and wait until it answers.

        A kill may have torn the last write to the append-only file. The server then cuts the file
        within a transaction and leaves its beginning there, which the next restart would take for a
        part of what follows. So the file is written anew, as operators are told to do.
        """
        self._mode = mode
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "redis.conf"
        if not path.exists():  # Sentinels and nodes write into theirs
            lines = [f"{key.replace('_', '-')} {value}" for key, value in self._settings.items()]
            path.write_text("\n".join(lines) + "\n")
        log = self.folder / "redis.log"
        read = log.stat().st_size if log.exists() else 0
        self._process = subprocess.Popen(
            [redis_server(), path, *mode],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            restore_signals=False,  # a file that may not grow is an error, not a death: `fill`
        )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None and time.monotonic() < deadline, (
                "redis-server did not start: " + (log.read_text()[-2000:] if log.exists() else "")
            )
            time.sleep(0.01)
        if log.exists() and b"Truncating the AOF" in log.read_bytes()[read:]:
            self.rewrite()
        return self

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                client.ping()
        except (redis.ConnectionError, redis.TimeoutError):
            return False
        except redis.ResponseError:
            return True  # it wants credentials, or has had them taken away
        return True

    def client(self, **settings: Any) -> redis.Redis:
        """A client for the test itself."""
        return redis.Redis(
            port=self.port, password=self.password, protocol=2, socket_timeout=10, **settings
        )

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> Self:
        """kill -9, and start again with the same files."""
        self.kill()
        return self.start(*self._mode)

    def rewrite(self) -> None:
        """Have the append-only file written anew."""
        with self.client() as client:
            client.bgrewriteaof()
            deadline = time.monotonic() + PATIENCE
            while True:
                facts = client.info("persistence")
                if not (facts["aof_rewrite_in_progress"] or facts["aof_rewrite_scheduled"]):
                    return
                assert time.monotonic() < deadline, "the file was not written anew"
                time.sleep(0.01)

    @property
    def log(self) -> Path:
        """The append-only file that grows."""
        [path] = [path for path in self.folder.rglob("*.aof") if ".base." not in path.name]
        return path

    def forget(self, size: int) -> None:
        """kill -9, and start again with no more than ``size`` bytes of the append-only file."""
        self.kill()
        with self.log.open("r+b") as log:
            log.truncate(max(size, 0))
        self.start(*self._mode)

    def fill(self) -> None:
        """Let no file grow beyond the length of the append-only file: writes fail half way."""
        self._limit(self.log.stat().st_size + 1000)

    def make_room(self) -> None:
        """Let files grow again."""
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        assert self._process is not None
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def await_refusal(self) -> None:
        """Wait until the server has found that it cannot write, and refuses to."""
        deadline = time.monotonic() + PATIENCE
        with self.client() as client:
            while client.info("persistence")["aof_last_write_status"] != "err":
                assert time.monotonic() < deadline, "the server could write"
                time.sleep(0.01)

    def await_end(self) -> None:
        """Wait until the server has ended by itself."""
        assert self._process is not None
        self._process.wait(PATIENCE)

    def pause(self) -> None:
        """SIGSTOP."""
        assert self._process is not None
        self._process.send_signal(19)

    def resume(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        self._process.send_signal(18)

    def __enter__(self) -> Self:
        return self if self._process is not None else self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
