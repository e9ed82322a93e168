"""What a call names: a function or a text, resolved once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from durabletask.errors import ArgumentTypeError
from durabletask.limits import check_text
from durabletask.serialization import result_type_of
from durabletask.task._decorators import definition_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ACTIVITIES", "ORCHESTRATIONS", "Target", "Targets"]

# Names made up at run time must not fill the memory.
_LARGEST = 4096


class Target(msgspec.Struct, frozen=True, eq=False):
    """The callee of a call.

    Attributes:
        result_type: what its annotation says of its result, or None.
        input_place, result_place: how errors of serialization call its payloads.
    """

    name: str
    version: str | None
    result_type: Any
    input_place: str
    result_place: str


class Targets(dict["str | Callable[..., Any]", Target]):
    """Callees of one kind by function or name. A plain dict on the way that is usual."""

    def __init__(self, kind: str, call: str) -> None:
        super().__init__()
        self._kind = kind
        self._call = call

    def resolve(self, callee: str | Callable[..., Any]) -> Target:
        """The target of ``callee``, remembered if it can be.

        Raises:
            ArgumentTypeError, InvalidRequestError: it names nothing of this kind.
        """
        if isinstance(callee, str):
            target = self._named(callee)
        elif callable(callee):
            target = self._defined(callee)
        else:
            raise ArgumentTypeError(
                f"{self._call} takes a function or its registered name, not {type(callee).__name__}"
            )
        if len(self) >= _LARGEST:
            self.clear()
        try:
            self[callee] = target
        except TypeError:
            return target  # an unhashable callable is looked at again at every call
        return target

    def _named(self, name: str) -> Target:
        check_text(name, f"the name of the {self._kind} that {self._call} names")
        return self._target(name, None, None)

    def _defined(self, function: Callable[..., Any]) -> Target:
        definition = definition_of(function)
        if definition.kind and definition.kind != self._kind:
            raise ArgumentTypeError(
                f"{self._call} calls an {self._kind}, but {definition.name!r} is marked "
                f"@task.{definition.kind}"
            )
        return self._target(definition.name, definition.version, result_type_of(function))

    def _target(self, name: str, version: str | None, result_type: Any) -> Target:
        callee = f"{self._kind} {name!r}"
        return Target(
            name, version, result_type, f"the input of {callee}", f"the result of {callee}"
        )


ACTIVITIES = Targets("activity", "call_activity")
ORCHESTRATIONS = Targets("orchestration", "call_sub_orchestration")
