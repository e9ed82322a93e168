"""One compiled reader per annotation, kept because building one costs a hundred reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from durabletask.serialization._hooks import rebuild
from durabletask.serialization._readable import readable

__all__ = ["READERS", "reader_of"]

Reader = Callable[[str], Any]
Value = TypeVar("Value")

# Annotations that programs make up as they run must not fill the memory.
_LIMIT = 1024

# Readers that msgspec builds unaided, by annotation: the hot path looks here first. Racing threads
# may build the same reader twice; either will do.
READERS: dict[Any, Reader] = {}

# The others. The annotation is kept beside its reader so that its id stays its own.
_ASSISTED: dict[Any, tuple[Any, Reader]] = {}


def reader_of(annotation: Any) -> Reader:
    """Return the function that reads JSON text as ``annotation``.

    Raises:
        TypeError: the annotation contains a type that JSON cannot be read as.
        NameError: a record in it has an annotation that names something undefined.
    """
    key = _key(annotation)
    if key in _ASSISTED:
        return _ASSISTED[key][1]
    target = readable(annotation)
    reader: Reader = msgspec.json.Decoder(target, dec_hook=rebuild).decode
    if target is annotation and isinstance(key, tuple):
        return _keep(READERS, annotation, reader)
    return _keep(_ASSISTED, key, (annotation, reader))[1]


def _key(annotation: Any) -> Any:
    # Two unions are equal whatever the order of their members, and here the order decides: hence
    # the text. Metadata in Annotated need not be hashable: hence the id.
    try:
        hash(annotation)
    except TypeError:
        return id(annotation)
    return annotation, str(annotation)


def _keep(cache: dict[Any, Value], key: Any, value: Value) -> Value:
    if len(cache) >= _LIMIT:
        cache.clear()
    cache[key] = value
    return value
