"""The soak itself: a short one finds nothing, and it would notice what grows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from . import load, run
from .growth import grown

if TYPE_CHECKING:
    from pathlib import Path

MEGABYTE = 1 << 20


@pytest.mark.parametrize(
    "sizes",
    [
        [10] * 9,
        [1, 40, 60, 70, 70, 70, 70, 70, 70],  # warming up
        [10, 30, 10, 30, 10, 30, 10, 30, 10],  # swept now and then
        [70, 70, 70, 20, 20, 20, 20, 20, 20],
    ],
)
def test_what_is_flat(sizes: list[int]) -> None:
    """In the end."""
    assert grown([{"inbox bytes": size * MEGABYTE} for size in sizes]) == []


def test_what_grows() -> None:
    """Each gauge is judged by itself, and counts by other measures than sizes."""
    looks = [
        {"a bytes": (10 + 5 * n) * MEGABYTE, "b rows": 10 * n, "c rows": 7, "d dead": 900 * n}
        for n in range(12)
    ]
    assert [text.partition(" went")[0] for text in grown(looks)] == ["a bytes", "b rows"]


def soaked(folder: Path) -> list[str]:
    """What a soak of a few rounds has found to grow."""
    with run.place_for(f"sqlite:///{folder}/hub.db") as url:
        looks = asyncio.run(run.soak(url, minutes=0.0, batch=5, pause=0.02))
    return grown(looks)


def test_nothing_grows(tmp_path: Path) -> None:
    """**purge** What is done and purged leaves nothing."""
    assert soaked(tmp_path) == []


def test_it_would_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a purge did nothing."""

    async def no_purge(client: Any, count: int) -> None:
        await asyncio.gather(
            *(client.schedule_new_orchestration(load.ship, input=n) for n in range(count))
        )

    monkeypatch.setattr(run, "one_round", no_purge)
    assert any("instances rows" in text for text in soaked(tmp_path))
