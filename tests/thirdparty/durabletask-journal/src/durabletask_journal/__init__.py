"""A durabletask backend that keeps a task hub in a journal file."""

from durabletask_journal.options import JournalOptions
from durabletask_journal.store import JournalStore

__all__ = ["JournalOptions", "JournalStore"]
