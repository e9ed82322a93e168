"""The embedded backend that keeps a task hub in the memory of the process."""

from durabletask.stores.memory.store import MemoryStore

__all__ = ["MemoryStore"]
