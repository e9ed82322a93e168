"""Which versions of orchestrations a worker takes, and which it gives to their children."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from durabletask.errors import ConfigurationError
from durabletask.versions import FailureStrategy, MatchStrategy, VersionRule

__all__ = ["VersioningOptions"]

_CHOICES = {
    "match_strategy": get_args(MatchStrategy),
    "failure_strategy": get_args(FailureStrategy),
}


@dataclass(frozen=True, kw_only=True)
class VersioningOptions:
    """How a worker treats the versions of orchestrations (rule *version-match*).

    Versions are ordered by PEP 440, those that do not follow it by their text; no version is the
    lowest. Activities have no part in this: any worker that knows their name runs them.

    Attributes:
        version: the worker's own; None or ``""`` is no version.
        default_version: what sub-orchestrations get that are called without a version and have
            none in their decorator.
        match_strategy: which instances the worker takes: ``"none"`` all, whatever their version;
            ``"strict"`` those whose version equals its own; ``"current_or_older"`` those whose
            version is not above its own.
        failure_strategy: what becomes of the others. ``"reject"`` leaves them to other workers, and
            they wait until one comes; ``"fail"`` fails them for good with a VersionMismatchError.

    Raises:
        ConfigurationError: a strategy is unknown, or a version is not text.
    """

    version: str | None = None
    default_version: str | None = None
    match_strategy: MatchStrategy = "none"
    failure_strategy: FailureStrategy = "reject"

    def __post_init__(self) -> None:
        for name in ("version", "default_version"):
            value = getattr(self, name)
            if not isinstance(value, str | None):
                raise ConfigurationError(f"{name} must be text or None, not {value!r}")
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                wanted = ", ".join(repr(choice) for choice in choices)
                raise ConfigurationError(f"{name} must be one of {wanted}, not {value!r}")

    @property
    def rule(self) -> VersionRule | None:
        """The part of it that backends see; None if every version is taken."""
        if self.match_strategy == "none":
            return None
        return VersionRule(
            version=self.version, match=self.match_strategy, failure=self.failure_strategy
        )
