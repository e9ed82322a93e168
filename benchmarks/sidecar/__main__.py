"""Run both servers in turn and compare: ``python -m benchmarks.sidecar --theirs PYTHON``."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.servers.ports import free_port

HERE = Path(__file__).parent
PLACES = {"memory": "memory://", "sqlite": "sqlite:///{folder}/hub.db"}


def measured(command: list[str]) -> dict[str, float]:
    """The figures that a program prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def ours(place: str, count: int) -> dict[str, float]:
    """Our sidecar over a place."""
    with tempfile.TemporaryDirectory() as folder:
        url = PLACES[place].format(folder=folder)
        program = str(Path(sys.executable).parent / "durabletask")
        command = [program, "serve", "--backend", url]
        server = subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            address = server.stdout.readline().rpartition(" ")[2].strip()
            worker = [sys.executable, "-m", "benchmarks.sidecar.ours"]
            return measured([*worker, address, str(count), "200", "2000"])
        finally:
            server.terminate()
            server.communicate()


def theirs(python: str, count: int) -> dict[str, float]:
    """Microsoft's in-memory server with its own SDK."""
    program, port = [python, str(HERE / "theirs.py")], str(free_port())
    server = subprocess.Popen(
        [*program, "server", port], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        return measured([*program, "worker", port, str(count), "200"])
    finally:
        server.kill()
        server.communicate()


def main() -> None:
    """Rounds of both, and the ratio of the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--theirs", metavar="PYTHON", help="an interpreter with their durabletask")
    parser.add_argument("--n", type=int, default=2000, help="instances of ours (%(default)s)")
    parser.add_argument("--their-n", type=int, default=300, help="of theirs (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    runs: dict[str, list[dict[str, float]]] = {}
    for _ in range(arguments.rounds):
        for place in PLACES:
            runs.setdefault(place, []).append(ours(place, arguments.n))
        if arguments.theirs:
            runs.setdefault("theirs", []).append(theirs(arguments.theirs, arguments.their_n))
    medians: dict[str, Any] = {
        name: {field: round(_median([run[field] for run in found]), 3) for field in found[0]}
        for name, found in runs.items()
    }
    if "theirs" in medians:
        for place in PLACES:
            medians[place]["times_theirs"] = round(
                medians[place]["rate"] / medians["theirs"]["rate"], 1
            )
    print(json.dumps(medians))


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    main()
