"""The seam between user values and stored payloads."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

__all__ = ["DataConverter"]


@runtime_checkable
class DataConverter(Protocol):
    """Turns user values into payload text and payload text into values.

    One converter serves a client or a worker for its whole life and is called from several
    threads, so it keeps no state that a call could leave half changed. Both methods must be
    deterministic: replay reads the same payload again and expects an equal value.

    ``None`` is the absent payload in both directions; every other value, the falsy ones
    included, must arrive as itself.

    ``where`` names the place for error texts, for example ``"the input of activity 'charge'"``.
    """

    def serialize(self, value: object, *, where: str) -> str | None:
        """Return the payload for ``value``, or None when ``value`` is None.

        Raises:
            SerializationError: the value has no faithful text form. Nothing else is raised,
                whatever the value.
        """
        ...

    def deserialize(self, data: str | None, type: Any | None, *, where: str) -> Any:
        """Return the value that ``data`` holds, or None when ``data`` is None.

        Args:
            data: a payload that ``serialize`` wrote, or that a stranger's client sent.
            type: the annotation to rebuild; None asks for plain data.
            where: the place, for error texts.

        Raises:
            SerializationError: the payload is malformed or does not fit ``type``. Nothing else
                is raised, whatever the payload.
        """
        ...
