"""The floors of the house: who may import whom.

A component is what lies directly below the namespace: `durabletask.task` and everything in it is
the component `task`. Components stand on floors and import downward only, or from a neighbour on
their own floor as long as the neighbours form no circle. Imports inside functions count: they
would only hide a circle. Imports that nothing but a type checker follows do not: an error may say
in its signature what it carries.
"""

import ast
import graphlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import pytest

FLOORS = (
    {"errors", "limits", "serialization", "versions"},
    {"actions", "entities", "history", "state", "task"},
    {"arguments", "backend", "engine"},
    {"plugins", "store"},
    {"client", "worker"},
    {"cli", "postgres", "redis", "stores", "testing"},
    {"grpc"},
    {"azuremanaged"},
)
"""From the ground up."""

DEPENDENCIES = {"msgspec", "pluggy"}
"""What every module may import at its top, besides the standard library and ourselves."""

DEFERRED = {
    "grpc": {"google", "grpc"},
    "serialization": {"attr", "attrs", "pydantic"},
    "testing": {"hypothesis", "pytest", "pytest_asyncio"},
}
"""What a component may import inside a function, for those who have it installed."""

DRIVERS = {
    "grpc": {"google", "grpc", "grpc_health", "grpc_reflection"},
    "postgres": {"asyncpg"},
    "redis": {"hiredis", "redis"},
}
"""By component of a backend: the libraries that its distribution requires."""

KITS = {"durabletask.testing.conformance": {"hypothesis", "pytest", "pytest_asyncio"}}
"""Packages that nobody imports without what they need, so they may import it at the top."""

PURE = {
    "actions",
    "engine",
    "entities",
    "errors",
    "history",
    "limits",
    "serialization",
    "state",
    "task",
    "versions",
}
"""Components without I/O, clock or scheduling of their own."""

IMPURE_MODULES = {
    "asyncio",
    "concurrent",
    "http",
    "multiprocessing",
    "selectors",
    "socket",
    "sqlite3",
    "subprocess",
    "time",
}


Moment = Literal["load", "call", "never"]
"""When an import runs: with its module, when a function is called, or for type checkers only."""


class Import(NamedTuple):
    """One import statement, resolved to an absolute name."""

    importer: str
    imported: str
    line: int
    moment: Moment

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def is_type_checking(node: ast.stmt) -> bool:
    """Whether a statement is `if TYPE_CHECKING:`."""
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
            return True
    return False


def statements(body: list[ast.stmt], moment: Moment = "load") -> Iterator[tuple[ast.stmt, Moment]]:
    """Every statement below `body`, and when it runs."""
    for node in body:
        yield node, moment
        inner = moment
        if moment == "load" and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = "call"
        yield from statements(
            getattr(node, "body", []), "never" if is_type_checking(node) else inner
        )
        for block in ("orelse", "finalbody"):
            yield from statements(getattr(node, block, []), inner)
        for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            yield from statements(part.body, inner)


def targets(node: ast.stmt, package: list[str]) -> Iterator[str]:
    """The absolute names of the modules that a statement in `package` imports."""
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=module, names=names, level=level):
            base = package[: len(package) - level + 1] if level else []
            origin = ".".join([*base, *([module] if module else [])])
            # The bare namespace holds nothing but submodules, so the name is the module.
            bare = origin == "durabletask"
            yield from ([f"{origin}.{alias.name}" for alias in names] if bare else [origin])


def component(module: str) -> str:
    """`task` of `durabletask.task._context`."""
    return module.split(".")[1]


def is_ours(module: str) -> bool:
    """Whether a module lies in the namespace."""
    return module.startswith("durabletask.")


def floor(name: str) -> int:
    """The floor on which a component stands, counted from the ground."""
    return next(level for level, names in enumerate(FLOORS) if name in names)


def is_inside(module: str, package: str) -> bool:
    """Whether a module is a package or lies in it."""
    return module == package or module.startswith(f"{package}.")


@pytest.fixture(scope="module")
def imports(sources: dict[str, Path], trees: dict[str, ast.Module]) -> list[Import]:
    """Every import of every module."""
    found: list[Import] = []
    for name, tree in trees.items():
        parts = name.split(".")
        package = parts if sources[name].name == "__init__.py" else parts[:-1]
        for node, moment in statements(tree.body):
            found += [Import(name, goal, node.lineno, moment) for goal in targets(node, package)]
    return found


@pytest.fixture(scope="module")
def inner(imports: list[Import]) -> list[Import]:
    """Imports that run and lead from one of our components to another."""
    return [
        item
        for item in imports
        if item.moment != "never"
        and is_ours(item.imported)
        and component(item.imported) != component(item.importer)
    ]


@pytest.fixture(scope="module")
def foreign(imports: list[Import]) -> list[Import]:
    """Imports of what is neither ours nor in the standard library."""
    return [
        item
        for item in imports
        if not is_ours(item.imported)
        and item.imported.partition(".")[0] not in sys.stdlib_module_names
    ]


def test_every_component_has_a_floor(sources: dict[str, Path]) -> None:
    """A new component is placed before it is used."""
    assert {component(name) for name in sources} - set().union(*FLOORS) == set()


def test_imports_point_downward(inner: list[Import]) -> None:
    """No component needs what is built on top of it."""
    assert [
        str(item)
        for item in inner
        if floor(component(item.imported)) > floor(component(item.importer))
    ] == []


def test_components_form_no_circle(inner: list[Import]) -> None:
    """Neighbours on one floor may use each other in one direction only."""
    graph: dict[str, set[str]] = {}
    for item in inner:
        graph.setdefault(component(item.importer), set()).add(component(item.imported))
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"components import each other in a circle: {error.args[1]}")


def test_nothing_imports_testing(imports: list[Import]) -> None:
    """What is for tests stays out of production."""
    assert [
        str(item)
        for item in imports
        if is_inside(item.imported, "durabletask.testing") and component(item.importer) != "testing"
    ] == []


def test_modules_need_only_the_declared_dependencies(foreign: list[Import]) -> None:
    """Importing any module but the kits needs pluggy and msgspec, nothing else."""
    assert [
        str(item)
        for item in foreign
        if item.moment == "load"
        and item.imported.partition(".")[0]
        not in DEPENDENCIES.union(
            DRIVERS.get(component(item.importer), set()),
            *(extra for kit, extra in KITS.items() if is_inside(item.importer, kit)),
        )
    ] == []


def test_deferred_imports_are_the_listed_ones(foreign: list[Import]) -> None:
    """Optional libraries are known to the one component that deals with them."""
    assert [
        str(item)
        for item in foreign
        if item.moment != "load"
        and item.imported.partition(".")[0]
        not in DEPENDENCIES.union(
            DEFERRED.get(component(item.importer), set()),
            DRIVERS.get(component(item.importer), set()),
        )
    ] == []


def test_the_centre_is_pure(imports: list[Import]) -> None:
    """The model and the engine have no way to do I/O, to wait or to read a clock."""
    assert [
        str(item)
        for item in imports
        if component(item.importer) in PURE and item.imported.partition(".")[0] in IMPURE_MODULES
    ] == []


def test_the_reader_of_imports_reads_them_all() -> None:
    """The rules above see relative, nested, deferred and typing-only imports for what they are."""
    tree = ast.parse(
        "import a.b, c\n"
        "from . import d\n"
        "from ..store import e\n"
        "from durabletask import task, worker as w\n"
        "if TYPE_CHECKING:\n    import f\nelse:\n    import g\n"
        "try:\n    import h\nexcept ImportError:\n    import i\n"
        "class C:\n    import j\n    def m(self):\n        if self:\n            from k import l\n"
    )
    package = ["durabletask", "worker"]
    found = {
        goal: moment for node, moment in statements(tree.body) for goal in targets(node, package)
    }
    at_load = ["a.b", "c", "durabletask.store", "durabletask.task", "durabletask.worker"]
    assert found == {
        **dict.fromkeys([*at_load, "g", "h", "i", "j"], "load"),
        "k": "call",
        "f": "never",
    }
