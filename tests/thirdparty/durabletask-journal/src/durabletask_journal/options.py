"""What a user can choose."""

from dataclasses import dataclass

__all__ = ["JournalOptions"]


@dataclass(frozen=True, kw_only=True)
class JournalOptions:
    """Options of a journal.

    Attributes:
        sync: wait until every entry is on the disk.
    """

    sync: bool = True
