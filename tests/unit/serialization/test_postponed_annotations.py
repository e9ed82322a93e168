"""Functions and records of a module whose annotations are all kept as text."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator  # noqa: TC003 - read at run time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from durabletask.serialization import DEFAULT_CONVERTER, input_type_of, result_type_of

if TYPE_CHECKING:
    from durabletask.task import OrchestrationContext


@dataclasses.dataclass
class Order:
    id: Decimal | str
    parts: list[Order | Part] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Part:
    name: str


class Note(TypedDict):
    text: Decimal | str
    author: NotRequired[str]


def orchestrator(ctx: OrchestrationContext, order: Order) -> Generator[Any, Any, list[Order]]:
    yield order
    return [order]


def test_a_context_imported_for_typing_only_does_not_hide_the_rest() -> None:
    assert input_type_of(orchestrator) is Order
    assert result_type_of(orchestrator) == list[Order]


def test_a_class_out_of_reach_is_plain_data() -> None:
    @dataclasses.dataclass
    class Local:
        n: int

    def activity(ctx: OrchestrationContext, item: Local) -> Local:
        return item

    assert input_type_of(activity) is None
    assert result_type_of(activity) is None


def test_records_with_textual_annotations_survive() -> None:
    order = Order("a", [Part("x"), Order("b")])
    data = DEFAULT_CONVERTER.serialize(order, where="x")
    assert DEFAULT_CONVERTER.deserialize(data, Order, where="x") == order


def test_optional_keys_with_textual_annotations_may_be_missing() -> None:
    assert DEFAULT_CONVERTER.deserialize('{"text":"a"}', Note, where="x") == {"text": "a"}
