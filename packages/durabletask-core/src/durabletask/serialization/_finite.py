"""Numbers that JSON cannot carry, and that msgspec would silently write as null."""

from __future__ import annotations

import math
import re
from typing import Any, Final

import msgspec

from durabletask.serialization._hooks import plain
from durabletask.serialization._paths import step

__all__ = ["path_of_non_finite"]

# In msgpack a double is 0xcb and eight bytes; NaN and the infinities have all exponent bits set.
# Written as msgpack a value is searched ten times faster than item by item. Other data can look
# the same by chance, so a hit only asks for the exact search.
_SUSPECT: Final = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]")
_write: Final = msgspec.msgpack.Encoder(enc_hook=plain).encode


def path_of_non_finite(value: object) -> str | None:
    """Return where in ``value`` a NaN or an infinity stands, as ``$.a[0]``, or None."""
    try:
        if not _SUSPECT.search(_write(value)):
            return None
    except OverflowError:
        # An integer beyond 64 bits, which JSON takes and msgpack does not.
        pass
    return _search(msgspec.to_builtins(value, enc_hook=plain, str_keys=True), "$")


def _search(data: Any, path: str) -> str | None:
    if isinstance(data, float):
        return None if math.isfinite(data) else path
    if isinstance(data, dict):
        items = ((path + step(key), item) for key, item in data.items())
    elif isinstance(data, list | tuple):
        items = ((path + step(n), item) for n, item in enumerate(data))
    else:
        return None
    return next((hit for place, item in items if (hit := _search(item, place))), None)
