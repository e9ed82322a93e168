"""Classes with fields: how to read them when msgspec refuses one of their annotations.

A record is read through a proxy, a struct made up on the fly with the same keys but with
annotations that msgspec takes. So missing fields, unknown tags and paths in error texts behave as
they do for records that need no help.
"""

from __future__ import annotations

import dataclasses
import sys
import typing
from typing import Any, Final, NamedTuple, NotRequired, Required, get_args, get_origin

import msgspec

from durabletask.serialization._hooks import convert

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["is_record", "record_builder"]

_ABSENT: Final = object()


class _Field(NamedTuple):
    name: str
    key: str
    required: bool


class _Kind(NamedTuple):
    """How one family of record classes is told, taken apart and put together."""

    covers: Callable[[Any], bool]
    fields: Callable[[Any], Iterator[_Field]]
    make: Callable[[Any, dict[str, Any]], Any]


def is_record(cls: object) -> bool:
    """Whether ``cls`` is a dataclass, attrs class, struct, named tuple or TypedDict."""
    return isinstance(cls, type) and any(kind.covers(cls) for kind in _KINDS)


def record_builder(cls: type, readable: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a builder of ``cls`` from JSON data, its field types passed through ``readable``.

    The proxy is made at the first use and not here, since a record may contain itself.
    """
    kind = next(kind for kind in _KINDS if kind.covers(cls))
    fields = list(kind.fields(cls))
    proxy: type[msgspec.Struct] | None = None

    def build(data: Any) -> Any:
        nonlocal proxy
        proxy = proxy or _proxy(cls, fields, readable)
        found = zip(fields, msgspec.structs.astuple(convert(data, proxy)), strict=True)
        return kind.make(cls, {f.name: value for f, value in found if value is not _ABSENT})

    return build


def _proxy(cls: type, fields: list[_Field], readable: Callable[[Any], Any]) -> type[msgspec.Struct]:
    hints = typing.get_type_hints(cls, include_extras=True)
    config = getattr(cls, "__struct_config__", None)
    # Numbered attributes, because the keys of a TypedDict need not be identifiers.
    specs: list[Any] = [
        (f"f{n}", readable(_unqualified(hints[f.name])), *(() if f.required else (_ABSENT,)))
        for n, f in enumerate(fields)
    ]
    return msgspec.defstruct(
        cls.__name__,
        specs,
        rename={f"f{n}": f.key for n, f in enumerate(fields)},
        kw_only=True,
        array_like=config.array_like if config else issubclass(cls, tuple),
        tag=config.tag if config else None,
        tag_field=config.tag_field if config else None,
        forbid_unknown_fields=config.forbid_unknown_fields if config else issubclass(cls, tuple),
    )


def _unqualified(hint: Any) -> Any:
    while get_origin(hint) in (Required, NotRequired, Final):
        (hint,) = get_args(hint)
    return hint


def _struct_fields(cls: Any) -> Iterator[_Field]:
    for field in msgspec.structs.fields(cls):
        yield _Field(field.name, field.encode_name, field.required)


def _attrs_fields(cls: Any) -> Iterator[_Field]:
    nothing = sys.modules["attr"].NOTHING
    for field in cls.__attrs_attrs__:
        yield _Field(field.name, field.name, field.init and field.default is nothing)


def _dataclass_fields(cls: Any) -> Iterator[_Field]:
    missing = dataclasses.MISSING
    for field in dataclasses.fields(cls):
        optional = field.default is not missing or field.default_factory is not missing
        yield _Field(field.name, field.name, field.init and not optional)


def _tuple_fields(cls: Any) -> Iterator[_Field]:
    for name in cls._fields:
        yield _Field(name, name, name not in cls._field_defaults)


def _dict_fields(cls: Any) -> Iterator[_Field]:
    # The hints and not only __required_keys__, which misses qualifiers inside text annotations.
    qualifiers = {Required: True, NotRequired: False}
    for name, hint in typing.get_type_hints(cls, include_extras=True).items():
        required = qualifiers.get(get_origin(hint), name in cls.__required_keys__)
        yield _Field(name, name, required)


def _call(cls: Any, values: dict[str, Any]) -> Any:
    return cls(**values)


def _call_attrs(cls: Any, values: dict[str, Any]) -> Any:
    parameters = {f.name: f.alias for f in cls.__attrs_attrs__ if f.init}
    return _call_and_set(cls, values, parameters)


def _call_dataclass(cls: Any, values: dict[str, Any]) -> Any:
    parameters = {f.name: f.name for f in dataclasses.fields(cls) if f.init}
    return _call_and_set(cls, values, parameters)


def _call_and_set(cls: Any, values: dict[str, Any], parameters: dict[str, str]) -> Any:
    record = cls(**{parameters[name]: v for name, v in values.items() if name in parameters})
    for name in values.keys() - parameters.keys():
        # Past __setattr__, which refuses in a frozen class.
        object.__setattr__(record, name, values[name])
    return record


_KINDS: Final = (
    _Kind(lambda cls: issubclass(cls, msgspec.Struct), _struct_fields, _call),
    _Kind(lambda cls: hasattr(cls, "__attrs_attrs__"), _attrs_fields, _call_attrs),
    _Kind(dataclasses.is_dataclass, _dataclass_fields, _call_dataclass),
    _Kind(lambda cls: issubclass(cls, tuple) and hasattr(cls, "_fields"), _tuple_fields, _call),
    _Kind(typing.is_typeddict, _dict_fields, lambda _, values: values),
)
