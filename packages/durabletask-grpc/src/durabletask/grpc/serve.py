"""``durabletask serve``: a sidecar as a process of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from durabletask.errors import ConfigurationError
from durabletask.plugins import Command, hookimpl

if TYPE_CHECKING:
    import argparse

    from durabletask.grpc.sidecar import SidecarOptions

__all__ = ["durabletask_commands"]

TOKEN_VARIABLE = "DURABLETASK_SIDECAR_TOKEN"


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backend",
        metavar="URL",
        help="where the orchestrations live; DURABLETASK_URL, then sqlite:///durabletask.db, if it "
        "is left out",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument(
        "--port", type=int, default=8080, help="port to listen on (%(default)s); 0 takes a free one"
    )
    parser.add_argument(
        "--task-hub",
        metavar="NAME",
        action="append",
        default=[],
        help="serve this hub only; may be repeated. Callers may name any if it is left out",
    )
    parser.add_argument("--tls-cert", metavar="FILE", help="certificate chain, PEM: speak TLS")
    parser.add_argument("--tls-key", metavar="FILE", help="its private key, PEM")
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="demand the bearer token in this file of every call; the environment variable "
        f"{TOKEN_VARIABLE} does the same",
    )
    parser.add_argument(
        "--drain-timeout",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="how long SIGTERM waits for work that is out (%(default)g)",
    )


async def _serve(arguments: argparse.Namespace) -> None:
    # Not at the top: `durabletask --help` need not load gRPC.
    from durabletask.grpc.sidecar import Sidecar
    from durabletask.worker.signals import stop_signals

    with stop_signals() as stopped:
        sidecar = Sidecar(
            arguments.backend,
            host=arguments.host,
            port=arguments.port,
            options=_options(arguments),
        )
        async with sidecar:
            print(f"serving {sidecar.place} on {sidecar.url}")
            sys.stdout.flush()
            await stopped


def _options(arguments: argparse.Namespace) -> SidecarOptions:
    from durabletask.grpc.sidecar import SidecarOptions

    token = os.environ.get(TOKEN_VARIABLE)
    if arguments.token_file is not None:
        token = _read(arguments.token_file, "--token-file").decode("utf-8", "replace").strip()
    return SidecarOptions(
        task_hubs=frozenset(arguments.task_hub),
        certificate=_read(arguments.tls_cert, "--tls-cert") if arguments.tls_cert else None,
        private_key=_read(arguments.tls_key, "--tls-key") if arguments.tls_key else None,
        token=token,
        drain_timeout=arguments.drain_timeout,
    )


def _read(path: str, option: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"the file of {option} cannot be read: {error.strerror}: {path}"
        ) from error


@hookimpl
def durabletask_commands() -> list[Command]:
    """The commands of this distribution."""
    return [
        Command(
            name="serve",
            summary="serve the Durable Task protocol over a backend",
            configure=_configure,
            run=_serve,
        )
    ]
