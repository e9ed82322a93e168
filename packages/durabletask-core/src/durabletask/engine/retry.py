"""Whether, and when, a failed call is tried again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from durabletask.engine.call import ActivityCall, ChildCall, RetryTimer
from durabletask.engine.clock import micros_of_delay

if TYPE_CHECKING:
    from durabletask.engine.ledger import Ledger
    from durabletask.state import FailureDetails
    from durabletask.task._retry import RetryPolicy

__all__ = ["Retry", "delay_before_retry", "try_again"]

ActionT = TypeVar("ActionT")

# No wait is longer than this, so that an unlimited backoff stays within the calendar.
_LONGEST = 100 * 365 * 86_400 * 1_000_000


class Retry(Generic[ActionT]):
    """How far the trying of one call has come.

    Attributes:
        attempt: number of the attempt under way, from 1.
        deadline: microseconds; no attempt starts later. None: no end.
        action: what to send again. Set when the call is made live or confirmed by history, hence
            always before the first failure.
    """

    __slots__ = ("action", "attempt", "deadline", "policy")

    action: ActionT

    def __init__(self, policy: RetryPolicy, now: int) -> None:
        self.policy = policy
        self.attempt = 1
        timeout = policy.retry_timeout
        self.deadline = None if timeout is None else now + micros_of_delay(timeout)


def try_again(
    ledger: Ledger, instance_id: str, call: ActivityCall | ChildCall, failure: FailureDetails
) -> bool:
    """Start the timer of the next attempt; False if there is to be none.

    Decided by the orchestration's clock and by history alone, so replay decides alike.

    Raises:
        Exception: what the author's ``retry_predicate`` raises.
    """
    retry: Retry[Any] | None = call.retry
    if retry is None or not _wanted(retry, failure):
        return False
    delay = delay_before_retry(retry.policy, retry.attempt, f"{instance_id}\0{call.task_id}")
    due = ledger.now + delay
    if retry.deadline is not None and due > retry.deadline:
        return False
    retry.attempt += 1
    ledger.number += 1
    ledger.start_timer(ledger.number, RetryTimer(call), due)
    return True


def _wanted(retry: Retry[Any], failure: FailureDetails) -> bool:
    policy = retry.policy
    most = policy.max_number_of_attempts
    if failure.non_retriable or (most is not None and retry.attempt >= most):
        return False
    if any(failure.is_caused_by(kind) for kind in policy.non_retryable_error_types):
        return False
    return policy.retry_predicate is None or bool(policy.retry_predicate(failure))


def delay_before_retry(policy: RetryPolicy, attempt: int, seed: str) -> int:
    """Microseconds to wait after attempt ``attempt`` has failed.

    ``seed`` names the call; with the attempt it decides the jitter.
    """
    longest = policy.max_retry_interval
    most = _LONGEST if longest is None else min(_LONGEST, micros_of_delay(longest))
    first = micros_of_delay(policy.first_retry_interval)
    try:
        delay = min(most, int(first * policy.backoff_coefficient ** (attempt - 1)))
    except OverflowError:
        delay = most if first else 0
    if policy.jitter:
        delay -= int(delay * policy.jitter * _fraction(f"{seed}\0{attempt}"))
    return delay


def _fraction(seed: str) -> float:
    """A number from 0 up to 1 that depends on ``seed`` alone."""
    digest = hashlib.blake2b(seed.encode("utf-8", "surrogatepass"), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48
