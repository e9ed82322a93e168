"""Many rows in few statements."""

from __future__ import annotations

import sqlite3

import pytest

from durabletask.stores.sqlite.bulk import LONGEST, pieces, statements


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 255, 256, 257, 1000])
def test_pieces_are_powers_of_two(count: int) -> None:
    """All rows in their order, in runs that few different statements serve."""
    rows = list(range(count))
    cut = list(pieces(rows))
    assert [row for piece in cut for row in piece] == rows
    assert all(len(piece).bit_count() == 1 and len(piece) <= LONGEST for piece in cut)
    assert len(cut) <= count // LONGEST + LONGEST.bit_length()


def test_a_statement_holds_many_rows() -> None:
    """The text for a number of rows is built once, and every value is a parameter."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (a, b)")
    rows = [(n, f"'{n}'; --") for n in range(300)]
    texts = []
    for sql, parameters in statements("INSERT INTO t VALUES ", "(?,?)", "", rows):
        connection.execute(sql, parameters)
        texts.append(sql)
    assert connection.execute("SELECT a, b FROM t").fetchall() == rows
    connection.close()
    again = [sql for sql, _ in statements("INSERT INTO t VALUES ", "(?,?)", "", rows)]
    assert all(first is second for first, second in zip(texts, again, strict=True))
