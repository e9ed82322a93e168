"""Every run has a fresh place, and nothing of it stays."""

from pathlib import Path

import pytest

from benchmarks.place import fresh_place
from durabletask.plugins.url import parse_url


def test_a_run_has_a_new_file_beside_the_named_one_which_is_left_alone(tmp_path: Path) -> None:
    named = tmp_path / "orders.db"
    named.write_bytes(b"precious")
    with fresh_place(f"sqlite:///{named}?synchronous=normal") as url:
        parsed = parse_url(url)
        used = Path(parsed.local_path())
        assert (used.name, used.parent.parent) == ("orders.db", tmp_path)
        assert parsed.query == {"synchronous": "normal"}
        used.write_bytes(b"data")
        used.with_name("orders.db-wal").write_bytes(b"log")
    assert [path.name for path in tmp_path.iterdir()] == ["orders.db"]
    assert named.read_bytes() == b"precious"


def test_a_sqlite_url_without_a_path_uses_the_disk_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with fresh_place("sqlite://") as url:
        assert Path(parse_url(url).local_path()).is_relative_to(tmp_path / "build")
    assert list((tmp_path / "build").iterdir()) == []


def test_memory_is_its_own_place() -> None:
    with fresh_place("memory://") as url:
        assert url == "memory://"


def test_a_server_gets_a_task_hub_for_each_run() -> None:
    with (
        fresh_place("other://localhost/0?ssl=true") as one,
        fresh_place("other://localhost") as two,
    ):
        assert one.startswith("other://localhost/0?ssl=true&task_hub=benchmark-")
        assert two.startswith("other://localhost?task_hub=benchmark-")
        assert parse_url(one).task_hub != parse_url(two).task_hub


def test_a_task_hub_that_was_asked_for_is_used() -> None:
    with fresh_place("other://localhost?task_hub=mine") as url:
        assert url == "other://localhost?task_hub=mine"
