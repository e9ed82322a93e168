"""Every error this library raises on purpose, under one root.

Each class says what went wrong, where, and what to do about it. Errors that an orchestrator can
catch (:class:`TaskFailedError`, :class:`TaskCancelledError`, ...) are also exported by
:mod:`durabletask.task`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.versions import named_version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from durabletask.state import FailureDetails

__all__ = [
    "ActivityNotRegisteredError",
    "ArgumentTypeError",
    "BackendClosedError",
    "BackendError",
    "BackendNotFoundError",
    "BackendUnavailableError",
    "BackendUrlError",
    "CapabilityError",
    "ConfigurationError",
    "DurableTaskError",
    "EntityLockError",
    "EntityNotRegisteredError",
    "EntityOperationError",
    "InstanceAlreadyExistsError",
    "InstanceNotFoundError",
    "InvalidRequestError",
    "LaneFencedError",
    "NonDeterminismError",
    "OrchestrationFailedError",
    "OrchestrationNotRegisteredError",
    "OrchestrationStateError",
    "PayloadTooLargeError",
    "RegistrationError",
    "SchemaVersionError",
    "SerializationError",
    "TaskCancelledError",
    "TaskFailedError",
    "UnknownCommitError",
    "VersionMismatchError",
    "WorkerStateError",
]


class DurableTaskError(Exception):
    """Root of every error raised by durabletask and its backends."""


# --- what a caller asked for -------------------------------------------------------------------


class InvalidRequestError(DurableTaskError, ValueError):
    """An argument is unusable (too long, blank, malformed). Nothing was written."""


class ArgumentTypeError(DurableTaskError, TypeError):
    """An argument, or what an orchestrator yields, is of the wrong type. Nothing was written."""


class SerializationError(DurableTaskError, TypeError):
    """A value cannot be turned into JSON, or JSON cannot be turned into the type asked for."""


class PayloadTooLargeError(InvalidRequestError, SerializationError):
    """A payload exceeds the limit of the task hub. Nothing was written."""


class InstanceNotFoundError(DurableTaskError, LookupError):
    """No orchestration instance has this id: it was never started, or it has been purged."""

    def __init__(self, instance_id: str) -> None:
        self.instance_id = instance_id
        super().__init__(
            f"no orchestration instance {instance_id!r} exists in this task hub: it was never "
            "started here, or it has been purged"
        )


class InstanceAlreadyExistsError(DurableTaskError):
    """An instance with this id exists, and the reuse policy does not allow replacing it."""

    def __init__(self, instance_id: str) -> None:
        self.instance_id = instance_id
        super().__init__(
            f"an orchestration instance {instance_id!r} already exists: choose another id, purge "
            "the old instance, or pass a reuse policy that allows replacing it"
        )


class OrchestrationStateError(DurableTaskError):
    """The instance is in a state that forbids the request (say, rewinding one that runs)."""


class OrchestrationFailedError(DurableTaskError):
    """Raised by ``OrchestrationState.raise_if_failed`` for an instance that FAILED."""

    def __init__(self, instance_id: str, details: FailureDetails | None) -> None:
        self.instance_id = instance_id
        self.details = details
        reason = f"{details.error_type}: {details.message}" if details else "no details"
        super().__init__(f"orchestration {instance_id!r} failed: {reason}")


# --- what user code meets inside an orchestrator -----------------------------------------------


class TaskFailedError(DurableTaskError):
    """An activity, sub-orchestration or operation failed; ``details`` tells how.

    Raised inside the orchestrator at the ``yield`` or ``await`` of the failed task.
    """

    def __init__(self, message: str, details: FailureDetails) -> None:
        self.details = details
        super().__init__(message)

    def is_caused_by(self, error: type[BaseException] | str) -> bool:
        """Whether the failure, or any cause in its chain, is ``error`` (class or type name)."""
        return self.details.is_caused_by(error)


class TaskCancelledError(DurableTaskError):
    """The task was cancelled by the orchestrator before it finished."""


class EntityLockError(DurableTaskError):
    """A call breaks the rules of a critical section, so nothing was sent.

    Locks do not nest, and while one is held only its own entities are called, each by one call at
    a time and never by a signal.
    """


class EntityOperationError(DurableTaskError):
    """An entity has no operation of this name."""


class NonDeterminismError(DurableTaskError):
    """The orchestrator's code asked for something other than its history records."""


# --- what is wrong with the program's set-up ---------------------------------------------------


class ConfigurationError(DurableTaskError):
    """An option, environment variable or argument of the set-up is unusable."""


class RegistrationError(ConfigurationError):
    """A function cannot be registered: wrong shape, or its name is already taken."""


class WorkerStateError(DurableTaskError):
    """The worker cannot do this now: started twice, registered too late, or already stopped."""


class OrchestrationNotRegisteredError(DurableTaskError):
    """No worker of the task hub knows this orchestration."""

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        self.name = name
        super().__init__(_unregistered("orchestration", name, known))


class ActivityNotRegisteredError(DurableTaskError):
    """No worker of the task hub knows this activity."""

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        self.name = name
        super().__init__(_unregistered("activity", name, known))


class EntityNotRegisteredError(DurableTaskError):
    """No worker of the task hub knows entities of this name."""

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        self.name = name
        super().__init__(_unregistered("entity", name, known))


class VersionMismatchError(DurableTaskError):
    """A worker that fails instances of versions it does not take has met one."""

    def __init__(self, name: str, version: str | None, own: str | None, match: str) -> None:
        self.name = name
        self.version = version
        super().__init__(
            f"orchestration {name!r} has {named_version(version)}, which a worker that has "
            f"{named_version(own)} does not take (match_strategy {match!r}). Let workers of its "
            "version run beside this one, with failure_strategy='reject', and start it anew"
        )


def _unregistered(kind: str, name: str, known: Iterable[str]) -> str:
    names = ", ".join(sorted(known)) or "none"
    return (
        f"no worker of this task hub has registered the {kind} {name!r}; registered: {names}. "
        f"Register it with worker.add_{kind}(...) or correct the name"
    )


# --- backends ----------------------------------------------------------------------------------


class BackendError(DurableTaskError):
    """Root of the errors that come from a backend or from finding one."""


class BackendNotFoundError(BackendError):
    """No installed backend serves the scheme of this URL."""


class BackendUrlError(BackendError, ValueError):
    """A backend URL is malformed or carries an unknown option."""


class CapabilityError(BackendError):
    """The backend declares that it cannot do this. Nothing was sent."""

    def __init__(self, capability: str, backend: str) -> None:
        self.capability = capability
        super().__init__(
            f"the {backend} backend does not support {capability!r}; choose a backend that "
            "declares this capability"
        )


class BackendClosedError(BackendError):
    """The backend, client or worker was used before it was opened or after it was closed."""


class BackendUnavailableError(BackendError):
    """The store or service cannot be used now: unreachable, read-only, foreign, or broken."""


class SchemaVersionError(BackendError):
    """The store was written by another version of this library."""


class LaneFencedError(BackendError):
    """The lane was taken over: its epoch is no longer valid and nothing was written."""


class UnknownCommitError(BackendError):
    """The connection broke inside a commit: the batch may or may not have been applied.

    Raised by :meth:`durabletask.store.Store.commit`; the lane resolves it. A client sees it only if
    its process was taken for dead before that was possible: what it asked for may have been done.
    """
