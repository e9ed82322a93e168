"""Annotations that msgspec refuses, rewritten into ones that it can read."""

from __future__ import annotations

import enum
import types
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from durabletask.serialization._hooks import Stand, rebuild
from durabletask.serialization._names import type_name
from durabletask.serialization._records import is_record, record_builder
from durabletask.serialization._unions import one_of_types, one_of_values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["is_native", "readable"]

# The stands made so far for one annotation, so that a record which contains itself gets one.
_Known = dict[Any, Stand]


def is_native(annotation: Any) -> bool:
    """Whether msgspec reads ``annotation``, and all that it refers to, without help.

    Raises:
        NameError: a record in it has an annotation that names something undefined.
    """
    try:
        msgspec.json.Decoder(annotation, dec_hook=rebuild)
    except TypeError:
        return False
    return True


def readable(annotation: Any, known: _Known | None = None) -> Any:
    """Return an annotation that msgspec reads, with the same values as the one given.

    Only the refused parts are replaced. What cannot be helped is returned as it is, and msgspec
    explains why it refuses it.
    """
    known = {} if known is None else known
    if is_native(annotation):
        return annotation
    for applies, rewrite in _RULES:
        if applies(annotation):
            return rewrite(annotation, known)
    return annotation


def _supertype(annotation: Any, known: _Known) -> Any:
    return readable(annotation.__supertype__, known)


def _alias(annotation: Any, known: _Known) -> Any:
    generic = get_origin(annotation) or annotation
    bound = dict(zip(generic.__type_params__, get_args(annotation), strict=False))
    return readable(_bind(generic.__value__, bound), known)


def _annotated(annotation: Any, known: _Known) -> Any:
    form: Any = Annotated
    return form[(readable(annotation.__origin__, known), *annotation.__metadata__)]


def _union(annotation: Any, known: _Known) -> Any:
    members = [readable(member, known) for member in get_args(annotation)]
    form: Any = Union
    union = form[tuple(members)]
    return union if is_native(union) else _stand(annotation, one_of_types, members)


def _literal(annotation: Any, known: _Known) -> Any:
    return _stand(annotation, one_of_values, get_args(annotation))


def _enum(annotation: Any, known: _Known) -> Any:
    return _stand(annotation, one_of_values, list(annotation))


def _record(annotation: Any, known: _Known) -> Any:
    if annotation not in known:
        cls = get_origin(annotation) or annotation
        bound = dict(zip(getattr(cls, "__parameters__", ()), get_args(annotation), strict=False))
        build = record_builder(cls, lambda hint: readable(_bind(hint, bound), known))
        known[annotation] = Stand(type_name(annotation), build)
    return known[annotation]


def _container(annotation: Any, known: _Known) -> Any:
    arguments = [a if a is ... else readable(a, known) for a in get_args(annotation)]
    return get_origin(annotation)[tuple(arguments)]


def _stand(annotation: Any, builder: Callable[[Sequence[Any], str], Any], of: Any) -> Stand:
    label = type_name(annotation)
    return Stand(label, builder(of, label))


def _bind(hint: Any, bound: dict[Any, Any]) -> Any:
    if isinstance(hint, TypeVar):
        return bound.get(hint, hint)
    parameters = getattr(hint, "__parameters__", ())
    if not parameters or isinstance(hint, type):
        return hint
    return hint[tuple(bound.get(parameter, parameter) for parameter in parameters)]


_RULES: tuple[tuple[Callable[[Any], bool], Callable[[Any, _Known], Any]], ...] = (
    (lambda a: hasattr(a, "__supertype__"), _supertype),
    (lambda a: hasattr(get_origin(a) or a, "__value__"), _alias),
    (lambda a: get_origin(a) is Annotated, _annotated),
    (lambda a: get_origin(a) in (Union, types.UnionType), _union),
    (lambda a: get_origin(a) is Literal, _literal),
    (lambda a: isinstance(a, enum.EnumMeta), _enum),
    (lambda a: is_record(get_origin(a) or a), _record),
    (lambda a: bool(get_args(a)) and isinstance(get_origin(a), type), _container),
)
