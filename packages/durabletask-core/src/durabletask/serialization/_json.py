"""The default converter: JSON by msgspec."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from durabletask.serialization._failures import not_finite, unreadable, unwritable
from durabletask.serialization._finite import path_of_non_finite
from durabletask.serialization._hooks import plain
from durabletask.serialization._readers import READERS, reader_of

__all__ = ["DEFAULT_CONVERTER", "JsonDataConverter"]

_write: Final = msgspec.json.Encoder(enc_hook=plain).encode
_read_plain: Final = msgspec.json.Decoder().decode


class JsonDataConverter:
    """Payloads as JSON text, types rebuilt from annotations.

    What travels: JSON's own data; dataclasses, attrs classes, named tuples, TypedDicts, msgspec
    structs, pydantic models; enums; datetime, date, time, timedelta, Decimal, UUID, bytes; tuples
    and sets; every nesting of these, Optional and Union included; dicts whose keys are text,
    numbers, dates, UUIDs or enums. Instances of other classes are refused.

    Without a type, a payload is read as plain data: objects as dicts, arrays as lists, the rest
    as text, numbers, bools and None. With a type nothing is coerced: ``"5"`` is no int and ``1``
    no bool.

    A union whose members JSON cannot tell apart (two dataclasses, ``Decimal | str``) gives the
    first member that fits exactly, one that would be written as the very same data; failing that
    the first that accepts the data. Give records of one shape a Literal field or, as structs, a
    tag, if it matters which of them arrives.

    An attribute of an attrs class whose name begins with an underscore is private and is not
    written.

    NaN and infinities are refused, since JSON has no such numbers, and so is text with lone
    surrogates. Values may nest about 900 levels deep, less what the call stack has used; the size
    of a payload is limited elsewhere.

    Stateless and safe for use by several threads.
    """

    def serialize(self, value: object, *, where: str) -> str | None:
        """See :meth:`DataConverter.serialize`."""
        if value is None:
            return None
        try:
            text = _write(value).decode()
            # msgspec writes null for NaN, so only text with a null can hide one.
            path = path_of_non_finite(value) if "null" in text else None
        except Exception as error:
            raise unwritable(error, value, where) from error
        if path is not None:
            raise not_finite(path, value, where)
        return text

    def deserialize(self, data: str | None, type: Any | None, *, where: str) -> Any:
        """See :meth:`DataConverter.deserialize`."""
        if data is None:
            return None
        try:
            if type is None:
                return _read_plain(data)
            try:
                read = READERS[type]
            except (KeyError, TypeError):
                read = reader_of(type)
            return read(data)
        except Exception as error:
            raise unreadable(error, type, where) from error


DEFAULT_CONVERTER: Final = JsonDataConverter()
