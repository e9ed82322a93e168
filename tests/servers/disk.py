"""A disk of a few megabytes, to be filled to the last byte without harm to anybody.

It is a tmpfs in a mount namespace of its own, which lasts as long as the process that holds it.
Everybody else reaches it through that process's entry in /proc, so nothing is mounted where others
could see it, and nothing is left behind. Root may do this, or anybody where the kernel lets users
have namespaces.
"""

from __future__ import annotations

import errno
import os
import pwd
import subprocess
from pathlib import Path
from typing import Self

__all__ = ["SmallDisk"]

_MOUNT = 'mount -t tmpfs -o size="$1",mode=0777 durabletask /mnt && shift && exec "$@"'
_HOLD = ["sh", "-c", "echo ready && exec cat"]


class SmallDisk:
    """Such a disk, for as long as the context lasts.

    Args:
        size: in bytes.
        user: who is to use it, if this is root; it has to be able to look at the holder.
    """

    def __init__(self, size: int, user: str | None) -> None:
        self._size = size
        self._user = user
        self._holder: subprocess.Popen[str] | None = None
        self.path = Path()

    def __enter__(self) -> Self:
        space = ["--mount"] if os.geteuid() == 0 else ["--mount", "--user", "--map-root-user"]
        become = []
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            identity = [f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
            become = ["setpriv", *identity]
        self._holder = subprocess.Popen(
            ["unshare", *space, "sh", "-c", _MOUNT, "sh", str(self._size), *become, *_HOLD],
            stdin=subprocess.PIPE,  # it ends with us, whatever we die of
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "ready\n":
            _, words = self._holder.communicate()
            raise PermissionError(f"no disk of our own: {words}")
        self.path = Path(f"/proc/{self._holder.pid}/root/mnt")
        return self

    def __exit__(self, *_: object) -> None:
        if self._holder is not None:
            self._holder.communicate()

    def fill(self) -> None:
        """Leave no room for another page, however often something is freed meanwhile."""
        with (self.path / "ballast").open("ab", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(4096))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def make_room(self) -> None:
        """Delete what fills it."""
        (self.path / "ballast").unlink()
