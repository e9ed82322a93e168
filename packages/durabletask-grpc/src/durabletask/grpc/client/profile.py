"""What a server is told of a worker: its names and limits, the versions it takes, its code."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from durabletask.grpc.extensions import CODE, GRACE, VERSIONS, tell_versions
from durabletask.grpc.protocol import pb

if TYPE_CHECKING:
    from durabletask.backend import WorkerProfile
    from durabletask.versions import VersionRule

__all__ = ["stream_metadata", "stream_request"]


def stream_request(profile: WorkerProfile) -> pb.GetWorkItemsRequest:
    """With what a worker asks for work items, on any server."""
    request = pb.GetWorkItemsRequest(
        maxConcurrentOrchestrationWorkItems=profile.max_orchestrations,
        maxConcurrentActivityWorkItems=profile.max_activities,
        maxConcurrentEntityWorkItems=profile.max_orchestrations,
        capabilities=[pb.WORKER_CAPABILITY_HISTORY_STREAMING],
    )
    if not profile.any_name:
        filters = request.workItemFilters
        filters.SetInParent()
        # The protocol can say which versions are taken if they are listed. Of what a service sends
        # beside them, or because it does not look at filters, the worker abandons what it rejects.
        rule = _rejecting(profile)
        versions = [rule.version or ""] if rule is not None and rule.match == "strict" else []
        filters.orchestrations.extend(
            pb.OrchestrationFilter(name=name, versions=versions)
            for name in sorted(profile.orchestrations)
        )
        filters.activities.extend(
            pb.ActivityFilter(name=name) for name in sorted(profile.activities)
        )
        filters.entities.extend(pb.EntityFilter(name=name) for name in sorted(profile.entities))
    return request


def stream_metadata(profile: WorkerProfile) -> tuple[tuple[str, str | bytes], ...]:
    """What is told beside it, of which others than our sidecar know nothing."""
    return (
        *_code_of(profile),
        (GRACE, f"{profile.unregistered_grace:g}"),
        *_versions_of(profile),
    )


def _rejecting(profile: WorkerProfile) -> VersionRule | None:
    """The profile's rule, if it leaves instances to others. What it fails has to arrive."""
    rule = profile.versions
    return rule if rule is not None and rule.failure == "reject" else None


def _versions_of(profile: WorkerProfile) -> tuple[tuple[str, bytes], ...]:
    """What servers of ours are told, which then do not send what the worker rejects."""
    rule = _rejecting(profile)
    return () if rule is None else ((VERSIONS, tell_versions(rule)),)


def _code_of(profile: WorkerProfile) -> tuple[tuple[str, str], ...]:
    """One fingerprint of all the code of a worker: a change anywhere counts as other code.

    A worker without any is of others, and is behind a sidecar that has this source: the server must
    not take it for one of ours, which goes by the numbers of requests and remembers its turns.
    """
    code = profile.code
    known = [
        *sorted(profile.orchestrations.items()),
        *((f"@{name}", code) for name, code in sorted(profile.entities.items())),
    ]
    if not profile.any_name and any(code for _, code in known):
        text = "\0".join(f"{name}\1{code}" for name, code in known)
        code = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return ((CODE, code),) if code else ()
