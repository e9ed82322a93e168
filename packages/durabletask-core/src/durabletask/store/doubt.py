"""What became of a batch whose lane was lost before its outcome was known.

The store cannot say any more: it remembers a lane's last batch only as long as the lane lives. But
a batch is applied whole or not at all, and a new instance bears witness for the whole of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.entities import is_entity
from durabletask.errors import UnknownCommitError
from durabletask.store.pending import PendingBatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durabletask.store.batch import NewInstance
    from durabletask.store.record import InstanceRecord

__all__ = ["answer_in_doubt"]


def answer_in_doubt(pending: PendingBatch, rows: Mapping[str, InstanceRecord]) -> PendingBatch:
    """Answer the clients whose request is known to be carried out, or can never be known.

    What is sent a second time must not have been applied the first time: an event would count
    twice, and a start would be refused because of itself. So a client whose event is in doubt is
    told so.

    Args:
        pending: the batch. Its lane has ended, so it cannot be applied any more if it was not.
        rows: as they are now, of the instances that it creates and exist.

    Returns:
        What may be sent again.
    """
    # An entity bears no witness: it may have been there before, and be gone since.
    told = [new for new in pending.creates if not is_entity(new.instance_id)]
    witnesses = [new for new in told if _is_made(new, rows)]
    applied = bool(witnesses)
    refuted = not applied and any(new.instance_id not in rows for new in told)
    rest = pending.client_part()
    if refuted:
        return rest
    again = PendingBatch()
    for new, created in zip(rest.creates, rest.create_futures, strict=True):
        if applied and created is not None:
            if not created.done():
                created.set_result(new in witnesses)
        else:
            # Not made, and its id is taken: so it was refused, or will be.
            again.creates.append(new)
            again.create_futures.append(created)
    for message, sent in zip(rest.messages, rest.message_futures, strict=True):
        if sent is None or sent.done():
            continue
        if applied:
            sent.set_result(True)
        else:
            sent.set_exception(
                UnknownCommitError(
                    f"it is unknown whether the message to {message.instance_id!r} was sent: the "
                    "connection to the store broke, and before it was back this process had been "
                    "taken for dead. Look at the instance, then send it again if need be"
                )
            )
    return again


def _is_made(new: NewInstance, rows: Mapping[str, InstanceRecord]) -> bool:
    """Whether the instance that exists is this very one, maybe in a later execution."""
    row = rows.get(new.instance_id)
    return row is not None and (row.created_at, row.name) == (new.created_at, new.name)
