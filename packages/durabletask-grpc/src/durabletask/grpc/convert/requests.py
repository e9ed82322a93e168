"""The texts by which the protocol names what is asked of entities.

The protocol lets whoever asks choose them, and answers repeat them. We go by numbers: our own texts
are such that the number can be read from them. Those of others are kept and given back as they are.

Ours are UUIDs, since some SDKs take nothing else. They have the version that is left to everybody's
own use, and a mark; other SDKs take random or hashed ones, so no text of theirs looks like ours.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

__all__ = ["Requests", "chosen", "number_in", "request_text"]

_MARK: Final = "d7a5"
_OURS = re.compile(
    f"[0-9a-f]{{8}}-{_MARK}-8[0-9a-f]{{3}}-8[0-9a-f]{{3}}-[0-9a-f]{{4}}([0-9a-f]{{8}})"
)


def request_text(number: int, scope: str = "") -> str:
    """Our text for a number.

    Args:
        scope: what the number belongs to. Without it the text is known in its execution only.
    """
    mixed = hashlib.blake2b(scope.encode(), digest_size=9).hexdigest() if scope else "0" * 18
    parts = (mixed[:8], _MARK, "8" + mixed[8:11], "8" + mixed[11:14], mixed[14:18])
    return f"{'-'.join(parts)}{number & 0xFFFF_FFFF:08x}"


def number_in(text: str) -> int | None:
    """The number of a text of ours; None of any other text."""
    ours = _OURS.fullmatch(text)
    if ours is None:
        return None
    number = int(ours[1], 16)
    return number if number < 2**31 else number - 2**32


def chosen(text: str, number: int) -> str | None:
    """A text as events keep it: None if it says no more than the number does."""
    return None if not text or text == request_text(number) else text


class Requests:
    """What an execution has asked entities for: numbers by texts.

    Args:
        only_known: the whole history is read, so a text that was not asked for there belongs to an
            execution before this one. Else the number of a text of ours is believed.
    """

    def __init__(self, *, only_known: bool = False) -> None:
        self._numbers: dict[str, int] = {}
        self._only_known = only_known

    def note(self, text: str, number: int) -> None:
        """Something was asked for by this text."""
        self._numbers[text] = number

    def number(self, text: str) -> int | None:
        """The number of what was asked for by this text; None if nothing was."""
        known = self._numbers.get(text)
        return number_in(text) if known is None and not self._only_known else known
