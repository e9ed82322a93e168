"""From a batch to a call: what a lane owns is told from what the batch creates."""

from typing import Any

import pytest

from durabletask.errors import LaneFencedError
from durabletask.postgres.encode import Owned, encode, foreign
from durabletask.store import Batch, LaneKey, Park
from durabletask.testing.conformance.store.driver import execution, instance, message, turn

LANE = LaneKey(7, 1)
OURS = {"a": Owned(11, execution("a"))}


def batch(**fields: Any) -> Batch:
    """One that also creates an instance, which may be there."""
    new = instance("a", execution_id="another", owned=True)
    return Batch(lane=LANE, number=1, creates=[new], messages=[message("a", "m")], **fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"turns": [turn("a", 3)]},
        {"released": [("a", False)]},
        {"parked": [Park("a", execution("a"), "because", None)]},
    ],
)
def test_what_a_batch_also_creates_may_be_owned(fields: dict[str, Any]) -> None:
    """A lane that does not know of it asks, and then goes by what is there."""
    assert foreign(batch(**fields), {}) == ["a"]
    assert foreign(batch(**fields), OURS) == []
    encoding = encode(batch(**fields), OURS, [99])
    assert [11] in [[*column] for column in encoding.arguments if isinstance(column, tuple)]
    assert encoding.gained == {}


def test_the_first_turn_of_what_a_batch_creates() -> None:
    """It needs no question: the execution is new."""
    first = batch(turns=[turn("a", 0, execution_id="another")])
    assert foreign(first, {}) == []
    assert encode(first, {}, [99]).gained == {"a": (0, Owned(99, "another"))}


def test_a_turn_of_what_is_neither_owned_nor_created() -> None:
    """The lane has lost it."""
    with pytest.raises(LaneFencedError):
        encode(batch(turns=[turn("a", 3)]), {}, [99])
