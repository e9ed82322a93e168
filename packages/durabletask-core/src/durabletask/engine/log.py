"""Loggers that are silent while an orchestrator is replayed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from durabletask.engine.ledger import Ledger
    from durabletask.history import ExecutionStarted

__all__ = ["ReplaySafeLogger"]


class ReplaySafeLogger(logging.LoggerAdapter[Any]):
    """Logs only what happens for the first time.

    Silent while replaying and while an abandoned orchestrator is being closed. Records carry
    ``instance_id``, ``execution_id`` and ``orchestration`` beside the caller's ``extra``.
    """

    def __init__(
        self,
        logger: logging.Logger | logging.LoggerAdapter[Any],
        ledger: Ledger,
        started: ExecutionStarted,
    ) -> None:
        marks = {
            "instance_id": started.instance_id,
            "execution_id": started.execution_id,
            "orchestration": started.name,
        }
        super().__init__(logger, marks)
        self._ledger = ledger

    def isEnabledFor(self, level: int) -> bool:
        ledger = self._ledger
        return not ledger.replaying and not ledger.muted and super().isEnabledFor(level)

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs
