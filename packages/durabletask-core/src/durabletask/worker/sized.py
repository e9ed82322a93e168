"""Refuses payloads that the backend could not store, at the place where they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durabletask.limits import check_payload

if TYPE_CHECKING:
    from durabletask.serialization import DataConverter

__all__ = ["SizedConverter"]


class SizedConverter:
    """A data converter with a limit on the size of what it writes."""

    def __init__(self, converter: DataConverter, limit: int) -> None:
        self._serialize = converter.serialize
        self.deserialize = converter.deserialize
        self._limit = limit
        self._surely_fits = limit // 4  # no character takes more than four bytes of UTF-8

    def serialize(self, value: Any, *, where: str) -> str | None:
        """As the converter does.

        Raises:
            PayloadTooLargeError: it is above the limit.
            SerializationError: it holds a NUL character, which a database may not take.
        """
        data = self._serialize(value, where=where)
        if data is not None and (len(data) > self._surely_fits or "\0" in data):
            check_payload(data, where, self._limit)
        return data
