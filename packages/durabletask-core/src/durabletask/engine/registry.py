"""The functions a worker knows, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from durabletask.engine.fingerprint import fingerprint_of
from durabletask.entities import EntityId
from durabletask.errors import (
    ActivityNotRegisteredError,
    OrchestrationNotRegisteredError,
    RegistrationError,
)
from durabletask.serialization import input_type_of
from durabletask.task import DurableEntity
from durabletask.task._decorators import Definition, definition_of

__all__ = [
    "ActivityRegistration",
    "EntityRegistration",
    "OperationShape",
    "OrchestrationRegistration",
    "Registry",
]

F = TypeVar("F", bound=Callable[..., Any])

_SPREAD = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class OrchestrationRegistration(msgspec.Struct, frozen=True, eq=False):
    """An orchestrator.

    Attributes:
        version: from the decorator; what callers ask for when they name the function.
        input_type: annotation of the input, or None.
        is_async: an ``async def``.
        takes_input: called with context and input, else with the context alone.
        has_default: the input may be left out.
        input_place, result_place: how errors of serialization call its payloads.
        fingerprint: changes when the code changes.
    """

    name: str
    function: Callable[..., Any]
    version: str | None
    input_type: Any
    is_async: bool
    takes_input: bool
    has_default: bool
    input_place: str
    result_place: str
    fingerprint: str


class ActivityRegistration(msgspec.Struct, frozen=True, eq=False):
    """An activity; the fields are those of :class:`OrchestrationRegistration`.

    Attributes:
        inline: an ordinary function that may run on the worker's loop.
    """

    name: str
    function: Callable[..., Any]
    version: str | None
    input_type: Any
    is_async: bool
    takes_input: bool
    has_default: bool
    input_place: str
    result_place: str
    inline: bool


class OperationShape(msgspec.Struct, frozen=True, eq=False):
    """How an operation of an entity is called: a method of its class, or the entity's function.

    The fields are those of :class:`OrchestrationRegistration`.
    """

    function: Callable[..., Any]
    input_type: Any
    takes_input: bool
    has_default: bool


class EntityRegistration(msgspec.Struct, frozen=True, eq=False):
    """An entity.

    Attributes:
        name: in lower case.
        source: the class or function that was registered.
        operations: of a class, by name.
        whole: of a function, which sees to every operation itself; None for a class.
        fingerprint: changes when the code changes.
    """

    name: str
    source: Callable[..., Any]
    operations: Mapping[str, OperationShape]
    whole: OperationShape | None
    fingerprint: str

    def operation(self, name: str) -> OperationShape | None:
        """How to call an operation, or None if there is none; its name ignores case."""
        if self.whole is not None:
            return self.whole
        return self.operations.get(name) or self.operations.get(name.lower())


class Registry:
    """Orchestrators, activities and entities by name."""

    def __init__(self) -> None:
        self._orchestrations: dict[str, OrchestrationRegistration] = {}
        self._activities: dict[str, ActivityRegistration] = {}
        self._entities: dict[str, EntityRegistration] = {}

    @property
    def orchestrations(self) -> Mapping[str, OrchestrationRegistration]:
        """The registered orchestrators by name; a live, read-only view."""
        return MappingProxyType(self._orchestrations)

    @property
    def activities(self) -> Mapping[str, ActivityRegistration]:
        """The registered activities by name; a live, read-only view."""
        return MappingProxyType(self._activities)

    @property
    def entities(self) -> Mapping[str, EntityRegistration]:
        """The registered entities by name in lower case; a live, read-only view."""
        return MappingProxyType(self._entities)

    def add_orchestration(self, function: F, name: str | None = None) -> F:
        """Register an orchestrator, decorated or not, and return it.

        Args:
            function: called with the context and, if it takes a second argument, the input.
            name: instead of the name in the decorator or the function's own.

        Raises:
            RegistrationError: the function has the wrong shape, or another one has its name.
        """
        definition = _definition(function, "orchestration", name)
        if _is_taken(self._orchestrations, definition, function):
            return function
        takes_input, has_default = _shape(function, definition)
        self._orchestrations[definition.name] = OrchestrationRegistration(
            name=definition.name,
            function=function,
            version=definition.version,
            input_type=input_type_of(function),
            is_async=_is_async(function),
            takes_input=takes_input,
            has_default=has_default,
            input_place=f"the input of orchestration {definition.name!r}",
            result_place=f"the result of orchestration {definition.name!r}",
            fingerprint=fingerprint_of(function),
        )
        return function

    def add_activity(self, function: F, name: str | None = None) -> F:
        """Register an activity; arguments and errors are those of :meth:`add_orchestration`."""
        definition = _definition(function, "activity", name)
        if _is_taken(self._activities, definition, function):
            return function
        if inspect.isgeneratorfunction(function):
            raise RegistrationError(
                f"{definition.name!r} is a generator, which an activity cannot be: return the "
                "result, or register it with add_orchestration"
            )
        takes_input, has_default = _shape(function, definition)
        self._activities[definition.name] = ActivityRegistration(
            name=definition.name,
            function=function,
            version=definition.version,
            input_type=input_type_of(function),
            is_async=_is_async(function),
            takes_input=takes_input,
            has_default=has_default,
            input_place=f"the input of activity {definition.name!r}",
            result_place=f"the result of activity {definition.name!r}",
            inline=definition.inline,
        )
        return function

    def add_entity(self, entity: F, name: str | None = None) -> F:
        """Register an entity, a class or a function, and return it.

        Raises:
            RegistrationError: it has the wrong shape, or another one has its name, without regard
                to case.
        """
        definition = _definition(entity, "entity", name)
        try:
            lowered: str = EntityId(definition.name, "key").name
        except ValueError as error:
            raise RegistrationError(str(error)) from None
        definition = msgspec.structs.replace(definition, name=lowered)
        holder = self._entities.get(lowered)
        if holder is not None and holder.source is entity:
            return entity
        if holder is not None:
            raise RegistrationError(
                f"the name {lowered!r} is taken by {holder.source!r}: give {entity!r} another name="
            )
        self._entities[lowered] = _entity(entity, definition)
        return entity

    def orchestration(self, wanted: str | Callable[..., Any]) -> OrchestrationRegistration:
        """The orchestrator of this name, or this function's registration.

        Raises:
            OrchestrationNotRegisteredError: there is none.
        """
        name = wanted if isinstance(wanted, str) else _name_of(self._orchestrations, wanted)
        try:
            return self._orchestrations[name]
        except KeyError:
            raise OrchestrationNotRegisteredError(name, self._orchestrations) from None

    def activity(self, wanted: str | Callable[..., Any]) -> ActivityRegistration:
        """The activity of this name, or this function's registration.

        Raises:
            ActivityNotRegisteredError: there is none.
        """
        name = wanted if isinstance(wanted, str) else _name_of(self._activities, wanted)
        try:
            return self._activities[name]
        except KeyError:
            raise ActivityNotRegisteredError(name, self._activities) from None


def _entity(source: Callable[..., Any], definition: Definition) -> EntityRegistration:
    if not isinstance(source, type):
        whole = _operation(source, definition)
        return EntityRegistration(definition.name, source, {}, whole, fingerprint_of(source))
    operations = _operations(source, definition)
    codes = [fingerprint_of(operations[name].function) for name in sorted(operations)]
    return EntityRegistration(definition.name, source, operations, None, " ".join(codes))


def _operations(kind: type, definition: Definition) -> dict[str, OperationShape]:
    """The public methods of an entity's class by name, and by name in lower case."""
    if not issubclass(kind, DurableEntity):
        raise RegistrationError(
            f"the entity {definition.name!r} is the class {kind.__qualname__}, which must derive "
            "from task.DurableEntity"
        )
    _check_made_from_nothing(kind, definition)
    operations: dict[str, OperationShape] = {}
    for name in dir(kind):
        own = name == "delete" or not hasattr(DurableEntity, name)
        method = inspect.getattr_static(kind, name)  # not what a staticmethod gives
        if own and not name.startswith("_") and inspect.isfunction(method):
            where = msgspec.structs.replace(definition, name=f"{definition.name}.{name}")
            operations[name] = _operation(method, where, is_method=True)
    for name, shape in [*operations.items()]:
        operations.setdefault(name.lower(), shape)
    return operations


def _check_made_from_nothing(kind: type, definition: Definition) -> None:
    """Raise if objects of the class are not made without arguments."""
    parameters = inspect.signature(kind).parameters.values()
    if any(p.default is p.empty and p.kind not in _SPREAD for p in parameters):
        raise RegistrationError(
            f"the class of entity {definition.name!r} is called without arguments for every "
            f"operation, but it takes {inspect.signature(kind)}: keep in the state what is to last"
        )


def _operation(
    function: Callable[..., Any], definition: Definition, *, is_method: bool = False
) -> OperationShape:
    if inspect.isgeneratorfunction(function):
        raise RegistrationError(
            f"{definition.name!r} is a generator, which an operation of an entity cannot be: "
            "return the result"
        )
    takes_input, has_default = _shape(function, definition, is_method=is_method)
    return OperationShape(function, input_type_of(function), takes_input, has_default)


def _name_of(known: Mapping[str, Any], function: Callable[..., Any]) -> str:
    for name, registration in known.items():
        if registration.function == function:
            return name
    return definition_of(function).name


def _definition(function: object, kind: str, name: Any) -> Definition:
    if isinstance(function, DurableEntity):
        raise RegistrationError(
            f"add_{kind} was given an object of the class {type(function).__name__}: register the "
            "class itself with add_entity, for there is a new object for every operation"
        )
    if not callable(function):
        raise RegistrationError(
            f"add_{kind} takes a {'class or ' if kind == 'entity' else ''}function, not "
            f"{type(function).__name__}: pass the function itself, without calling it"
        )
    if name is not None:
        if not isinstance(name, str) or not name.strip():
            raise RegistrationError(f"the name of an {kind} must be visible text, not {name!r}")
        # What the decorator says beside the name still holds.
        noted = getattr(function, "__durabletask_definition__", Definition(name))
        definition: Definition = msgspec.structs.replace(noted, name=name)
    else:
        definition = definition_of(function)
    if definition.kind and definition.kind != kind:
        raise RegistrationError(
            f"{definition.name!r} is marked @task.{definition.kind}: register it with "
            f"add_{definition.kind}"
        )
    if kind != "entity" and isinstance(function, type) and issubclass(function, DurableEntity):
        raise RegistrationError(f"{definition.name!r} is an entity: register it with add_entity")
    return definition


_DATA = [
    form
    for kind in (bool, bytes, dict, float, int, list, set, str, tuple)
    for form in (kind, kind.__name__)
]
"""Annotations, as they are and as texts, of what can only be an input."""


def _is_taken(known: Mapping[str, Any], definition: Definition, function: object) -> bool:
    """Whether this very function has the name already."""
    holder = known.get(definition.name)
    if holder is None:
        return False
    if holder.function == function:
        return True
    raise RegistrationError(
        f"the name {definition.name!r} is taken by {holder.function!r}: give "
        f"{function!r} another name="
    )


def _shape(
    function: Callable[..., Any], definition: Definition, *, is_method: bool = False
) -> tuple[bool, bool]:
    """Whether the function takes an input, and whether it may be left out."""
    if inspect.isasyncgenfunction(function):
        raise RegistrationError(
            f"{definition.name!r} is an async generator: use either yield or await, not both"
        )
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise RegistrationError(
            f"the parameters of {definition.name!r} cannot be read; wrap it in a function with "
            "the parameters (ctx, input)"
        ) from error
    empty = inspect.Parameter.empty
    positional = [p for p in parameters if p.kind in _POSITIONAL]
    spread = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    demanded = [p.name for p in positional[2:] if p.default is empty]
    demanded += [
        p.name
        for p in parameters
        if p.kind is inspect.Parameter.KEYWORD_ONLY and p.default is empty
    ]
    if not (positional or spread) or demanded:
        wanted, remedy = "(ctx) or (ctx, input)", ""
        if is_method:
            wanted = "(self) or (self, input)"
            remedy = ". If it is no operation, let its name begin with an underscore"
        raise RegistrationError(
            f"{definition.name!r} must take {wanted}, but it takes "
            f"{inspect.signature(function)}{remedy}"
        )
    if positional and positional[0].annotation in _DATA:
        raise RegistrationError(
            f"{definition.name!r} must take (ctx) or (ctx, input), but it takes "
            f"{inspect.signature(function)}: the context comes first"
        )
    if len(positional) < 2:
        return spread, False
    return True, positional[1].default is not empty


def _is_async(function: Callable[..., Any]) -> bool:
    call = getattr(function, "__call__", None)  # noqa: B004 - the method itself is looked at
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
