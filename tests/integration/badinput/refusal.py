"""What bad input gets: a named error under one root, that says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from durabletask.errors import DurableTaskError

HUGE = "x" * (17 << 20)
"""More than the 16 MiB that a payload may have."""

LONG = "x" * 257
"""More than the 256 letters that a name may have."""


@contextmanager
def refused(error: type[Exception], hint: str) -> Iterator[None]:
    """Expect this very error, under the one root, with this in its text."""
    with pytest.raises(DurableTaskError, match=hint) as raised:
        yield
    assert raised.type is error
