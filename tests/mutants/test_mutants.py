"""The list of mutants keeps up with the sources; the session `mutants` runs them."""

from pathlib import Path

import pytest

from .mutants import MUTANTS, SUITES, Mutant
from .run import SOURCES, break_it


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_applies(mutant: Mutant, tmp_path: Path) -> None:
    """What it breaks is there, as often as it says, and is Python afterwards, if it was before."""
    [source] = [
        path for path in (s / "durabletask" / mutant.module for s in SOURCES) if path.exists()
    ]
    module = tmp_path / "durabletask" / mutant.module
    module.parent.mkdir(parents=True)
    module.write_text(source.read_text("utf-8"), "utf-8")
    break_it(mutant, tmp_path)
    if module.suffix == ".py":
        compile(module.read_text("utf-8"), mutant.module, "exec")
    assert mutant.suites and set(mutant.suites) <= SUITES.keys()
