"""From an exception to FailureDetails."""

from __future__ import annotations

import traceback

from durabletask.errors import TaskFailedError
from durabletask.state import FailureDetails

__all__ = ["failure_of"]

# A chain longer than this says nothing more, and a chain may be a ring.
_LONGEST_CHAIN = 16

_OURS = __package__


def failure_of(error: BaseException, *, non_retriable: bool = False) -> FailureDetails:
    """Describe ``error`` and the chain of its causes.

    The chain follows ``raise ... from cause``, else what was being handled when the error was
    raised; ``raise ... from None`` ends it. Below a TaskFailedError come the details it carries.

    Args:
        non_retriable: no retry policy may try again.
    """
    return _describe(error, _LONGEST_CHAIN, non_retriable)


def _describe(error: BaseException, depth: int, non_retriable: bool) -> FailureDetails:
    return FailureDetails(
        error_type=_type_name(type(error)),
        message=_message(error),
        stack_trace=_stack(error),
        cause=_cause(error, depth - 1),
        non_retriable=non_retriable,
    )


def _cause(error: BaseException, depth: int) -> FailureDetails | None:
    if isinstance(error, TaskFailedError):
        return error.details
    cause = error.__cause__
    if cause is None and not error.__suppress_context__:
        cause = error.__context__
    return _describe(cause, depth, False) if cause is not None and depth else None


def _type_name(kind: type[BaseException]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    # The text is the user's code, and it must not keep a failure from being recorded.
    try:
        text = str(error)
    except Exception:
        return f"<the text of this {type(error).__name__} cannot be made>"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _stack(error: BaseException) -> str | None:
    whole = users = error.__traceback__
    if whole is None:
        return None
    # Our own frames above the user's say nothing to the user.
    while users is not None and users.tb_frame.f_globals.get("__package__") == _OURS:
        users = users.tb_next
    text = "".join(traceback.format_tb(users or whole))
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
