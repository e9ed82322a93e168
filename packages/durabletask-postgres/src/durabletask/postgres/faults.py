"""What the errors of the driver and of the server mean, and what to do about them."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import asyncpg

from durabletask.errors import (
    BackendError,
    BackendUnavailableError,
    LaneFencedError,
)

if TYPE_CHECKING:
    from durabletask.store import LaneKey

__all__ = [
    "READ_ONLY",
    "TROUBLE",
    "CollisionError",
    "fenced",
    "is_answer",
    "lost",
    "refused",
    "unreachable",
]


class CollisionError(BackendUnavailableError):
    """The server has undone a transaction because of another one, and would take it again now."""


TROUBLE = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # TimeoutError and ssl.SSLError among them
)
"""Everything that may come out of a call when the server or the way there is in trouble."""

FENCED = "DT001"
COLLISIONS = frozenset({"40001", "40P01"})
HISTORY_KEY = "history_pkey"
READ_ONLY = "25006"

REMEDIES = {
    "08": "the connection broke, and is made anew; if that happens at once each time, the server "
    "may not accept the client's certificate (sslcert, sslkey)",
    "28": "check the user, the password or the client's certificate (sslcert, sslkey), and the "
    "server's pg_hba.conf, which may ask for TLS (sslmode=require)",
    "3D000": "create the database, or correct its name in the URL",
    "3F000": "run `durabletask migrate URL` as the owner of the schema",
    "42501": "the role lacks a right: as the owner, SELECT grant_access('ROLE', 'worker') in our "
    "schema, and run `durabletask migrate URL` as a role that may create a schema",
    "42P01": "run `durabletask migrate URL` as the owner of the schema",
    "42883": "run `durabletask migrate URL` as the owner of the schema",
    "40": "it collided with another transaction; it is tried again",
    "53100": "the disk of the server is full; free some space, it goes on by itself",
    "53200": "the server is out of memory; it goes on by itself when there is some",
    "53300": "the server has no connection left: raise max_connections, or use a pooler",
    "55P03": "a lock was not given in time; it is tried again",
    "57014": "the server cancelled it, for statement_timeout perhaps: raise that for our role",
    "57P04": "the database was dropped: restore it, or correct its name in the URL",
    "57P": "the server is starting, stopping or has ended the connection",
    "58": "the server cannot read or write its files: look at its disk and into its log",
    READ_ONLY: "the server is read-only, as a replica is, or by default_transaction_read_only: "
    "name the primary in the URL, or all hosts and target_session_attrs=read-write",
    "XX": "the server failed: look into its log, and whether its disk is full or damaged",
}
"""By SQLSTATE or the beginning of one."""

TEXTS: dict[type[BaseException], str] = {
    TimeoutError: "{place} does not answer in time: check the host and the port, and whether a "
    "firewall is in between",
    ssl.SSLCertVerificationError: "the certificate of {place} is not accepted ({why}): sslrootcert "
    "has to name who signed it and, with sslmode=verify-full, the host of the URL has to be in it",
    ssl.SSLError: "no TLS connection to {place} ({why}): check sslmode and the certificates of "
    "both sides (sslrootcert, sslcert and sslkey)",
    ConnectionRefusedError: "nobody listens at {place}: start the server, or correct host and port",
    OSError: "{place} cannot be reached ({why}): check host and port, whether the server does TLS "
    "if sslmode asks for it, and the files of sslrootcert, sslcert and sslkey",
    asyncpg.ClientConfigurationError: "{place} cannot be connected to as asked ({why}): correct "
    "the URL",
    asyncpg.TargetServerAttributeNotMatched: "{place}: none of the hosts is what "
    "target_session_attrs asks for: name the primary among them, or wait until one is promoted",
}
"""What did not come from the server; the first kind that an error is of."""

VALUES = frozenset({"21", "22", "23", "42", "54"})
"""Classes of SQLSTATE that speak of what was sent, which will not be taken the next time either."""


def _remedy(code: str | None) -> str:
    for length in (5, 3, 2):
        if code and code[:length] in REMEDIES:
            return REMEDIES[code[:length]]
    return "look at the cause of this error and into the server's log"


def first_line(error: BaseException) -> str:
    """What an error says, without the details, which may show values."""
    return str(error).partition("\n")[0]


def is_answer(error: BaseException) -> bool:
    """Whether the server has said that it did not do what it was asked to.

    When a session is being ended from outside (class 57P, and 08), what is said last and what was
    done last need not be the same.
    """
    if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
        return True  # an argument that the driver could not encode, so nothing was sent
    if not isinstance(error, asyncpg.PostgresError):
        return False
    return not (error.sqlstate or "08").startswith(("08", "57P"))


def refused(error: BaseException, place: str) -> BackendError:
    """The error to raise for what has come out of a call.

    Trouble of the server or of the way there is BackendUnavailableError, which callers may try
    again. A value that the server cannot take is another BackendError; then nothing was written.
    """
    if not is_answer(error):
        return unreachable(error, place)
    code = getattr(error, "sqlstate", None) or ""
    if code == FENCED or getattr(error, "constraint_name", None) == HISTORY_KEY:
        return LaneFencedError(
            f"nothing was written ({first_line(error)}). Drop what the lane holds"
        )
    if not code or (code[:2] in VALUES and code not in REMEDIES):
        return BackendError(f"{place} cannot take this: {first_line(error)}")
    return unreachable(error, place)


def unreachable(error: BaseException, place: str) -> BackendUnavailableError:
    """The error to raise if the server cannot be reached or used, with the remedy."""
    for kind, text in TEXTS.items():
        if isinstance(error, kind):
            return BackendUnavailableError(text.format(place=place, why=first_line(error)))
    code = getattr(error, "sqlstate", None) or "08"  # the driver's own: it was closed
    kind = CollisionError if code in COLLISIONS else BackendUnavailableError
    return kind(f"{place} cannot be used now ({first_line(error)}): {_remedy(code)}")


def lost(lane: LaneKey) -> LaneFencedError:
    """The error for a lane that does not own what it writes."""
    return LaneFencedError(
        f"lane {lane.lane_id} does not own all instances of its batch under their executions: "
        "nothing of it was written. Drop what the lane holds"
    )


def fenced(lane: LaneKey) -> LaneFencedError:
    """The error for a lane that this store does not hold."""
    return LaneFencedError(
        f"lane {lane.lane_id} may not write under epoch {lane.epoch} any more: it was closed or "
        "taken over. Drop what it holds and open a new lane"
    )
