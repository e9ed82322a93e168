"""Versions of orchestrations: their order, and which of them a worker takes. Pure."""

from __future__ import annotations

import functools
import math
import re
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FailureStrategy", "MatchStrategy", "VersionRule", "compare_versions", "named_version"]

MatchStrategy = Literal["none", "strict", "current_or_older"]
"""Which versions a worker takes: all, those equal to its own, or those not above its own."""

FailureStrategy = Literal["reject", "fail"]
"""What becomes of the others: they are left to other workers, or fail."""

# PEP 440, "Version scheme" and "Normalization": case, a leading v, the separators and the
# alternative spellings make no difference. Digits are those of ASCII, and few enough that no
# version is slow to read.
_NUMBER = "[0-9]{1,1000}"
_WORD = "[a-z0-9]{1,1000}"
_PEP_440 = re.compile(
    rf"""
    \s* v?
    (?: (?P<epoch>{_NUMBER}) ! )?
    (?P<release> {_NUMBER} (?: \.{_NUMBER} )* )
    (?: [-_.]? (?P<pre> alpha | beta | preview | pre | rc | a | b | c ) [-_.]?
        (?P<pre_number> (?:{_NUMBER})? ) )?
    (?P<post> -{_NUMBER} | [-_.]? (?: post | rev | r ) [-_.]? (?:{_NUMBER})? )?
    (?: [-_.]? (?P<dev> dev ) [-_.]? (?P<dev_number> (?:{_NUMBER})? ) )?
    (?: \+ (?P<local> {_WORD} (?: [-_.]{_WORD} )* ) )?
    \s*
    """,
    re.VERBOSE | re.ASCII | re.IGNORECASE,
)

_PHASES = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}
_BEFORE_ALPHA = (-1, 0)
_AFTER_CANDIDATES = (3, 0)

_Key = tuple[
    int,
    tuple[int, ...],
    tuple[int, int],
    int,
    float,
    tuple[tuple[int, int, str], ...],
]


@functools.lru_cache(maxsize=1024)
def _key(version: str) -> _Key | None:
    """What PEP 440 orders a version by ("Summary of permitted suffixes and relative ordering");
    None if it is not one of that scheme."""
    match = _PEP_440.fullmatch(version)
    if match is None:
        return None
    release = [int(number) for number in match["release"].split(".")]
    while release and not release[-1]:
        release.pop()  # 1.0 is 1
    post = -1
    if match["post"] is not None:
        post = int(re.sub("[^0-9]", "", match["post"]) or 0)
    dev = int(match["dev_number"] or 0) if match["dev"] else math.inf
    if match["pre"] is not None:
        phase = (_PHASES[match["pre"].lower()], int(match["pre_number"] or 0))
    else:
        # 1.dev0 comes before 1a0, 1.post0.dev0 after 1.
        is_early = match["dev"] is not None and post < 0
        phase = _BEFORE_ALPHA if is_early else _AFTER_CANDIDATES
    local = re.split("[-_.]", match["local"].lower()) if match["local"] else []
    return (int(match["epoch"] or 0), tuple(release), phase, post, dev, _local_key(local))


def _local_key(segments: list[str]) -> tuple[tuple[int, int, str], ...]:
    """Numbers come after words; more segments after fewer; no local version before any."""
    return tuple(
        (1, int(segment), "") if segment.isdigit() else (0, 0, segment) for segment in segments
    )


def compare_versions(one: str | None, other: str | None) -> int:
    """Rule *version-match*: less than 0, 0 or more than 0 as ``one`` is below, equal or above.

    No version (None or ``""``) is below every other. Two versions that both follow PEP 440 are
    ordered as it says, so ``1.10`` is above ``1.9``, and ``1.0`` equals ``1``. Else their texts
    decide, by code points.
    """
    if not one or not other:
        return bool(one) - bool(other)
    left, right = _key(one), _key(other)
    if left is None or right is None:
        return (one > other) - (one < other)
    return (left > right) - (left < right)


def named_version(version: str | None) -> str:
    """How logs and errors speak of it."""
    return f"the version {version!r}" if version else "no version"


_TAKES: dict[str, Callable[[int], bool]] = {
    "none": lambda order: True,
    "strict": lambda order: order == 0,
    "current_or_older": lambda order: order <= 0,
}


class VersionRule(msgspec.Struct, frozen=True, kw_only=True):
    """Which versions of orchestrations a worker takes, as data.

    Attributes:
        version: the worker's own; None is the lowest of all.
        match: ``"none"`` takes every version, ``"strict"`` those equal to ``version``,
            ``"current_or_older"`` those that are not above it.
        failure: what becomes of an instance of another version: ``"reject"`` leaves it to other
            workers, ``"fail"`` fails it.
    """

    version: str | None = None
    match: MatchStrategy = "none"
    failure: FailureStrategy = "reject"

    def takes(self, version: str | None) -> bool:
        """Whether the worker runs instances of this version."""
        return self.match == "none" or _TAKES[self.match](compare_versions(version, self.version))
