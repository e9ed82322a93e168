"""`durabletask` is a PEP 420 namespace; what lies below it are ordinary, typed packages."""

import ast
from pathlib import Path

import pytest


@pytest.fixture
def packages(projects: dict[str, Path]) -> list[Path]:
    """Every folder below the namespace that holds modules at any depth, in all distributions."""
    found: set[Path] = set()
    for folder in projects.values():
        namespace = folder / "src/durabletask"
        for module in namespace.rglob("*.py"):
            found.update(path for path in module.parents if namespace in path.parents)
    return sorted(found)


def is_reexport(statement: ast.stmt) -> bool:
    """Whether a statement may stand in an `__init__.py`: docstring, import or `__all__`."""
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant(value=str())):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return all(map(is_reexport, statement.body))
        case ast.FunctionDef(name="__getattr__" | "__dir__"):
            return True
    return False


def imported_names(tree: ast.Module) -> set[str]:
    """The names of ours that a module imports, for type checkers or for all."""
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and (node.level or (node.module or "").partition(".")[0] == "durabletask")
        for alias in node.names
    }


def exported_names(tree: ast.Module) -> set[str]:
    """The names in the `__all__` of a module."""
    return {
        name
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        for name in ast.literal_eval(node.value)
    }


def test_no_distribution_owns_the_namespace(projects: dict[str, Path]) -> None:
    """One `durabletask/__init__.py` anywhere would hide every other distribution."""
    stray = [folder / "src/durabletask/__init__.py" for folder in projects.values()]
    assert [path for path in stray if path.exists()] == []


def test_every_folder_is_a_package(packages: list[Path]) -> None:
    """Below the namespace no folder relies on being one itself."""
    assert [path for path in packages if not (path / "__init__.py").exists()] == []


def test_core_marks_the_namespace_typed(projects: dict[str, Path]) -> None:
    """Core alone carries the marker of the namespace, or two wheels would own one file."""
    marked = [name for name in projects if (projects[name] / "src/durabletask/py.typed").exists()]
    assert marked == ["durabletask-core"]


def test_every_package_is_marked_typed(packages: list[Path]) -> None:
    """Type checkers that read sources look for the marker in the package they import."""
    assert [path for path in packages if not (path / "py.typed").exists()] == []


def test_init_modules_only_reexport(sources: dict[str, Path], trees: dict[str, ast.Module]) -> None:
    """An `__init__.py` holds names, never code."""
    assert [
        f"{name}:{statement.lineno}"
        for name, tree in trees.items()
        if sources[name].name == "__init__.py"
        for statement in tree.body
        if not is_reexport(statement)
    ] == []


def test_init_modules_export_what_they_import(
    sources: dict[str, Path], trees: dict[str, ast.Module]
) -> None:
    """A package lists in `__all__` every name that it imports from its modules, and no other."""
    wrong = {}
    for name, tree in trees.items():
        if sources[name].name == "__init__.py":
            imported, exported = imported_names(tree), exported_names(tree)
            if imported != exported:
                wrong[name] = sorted(imported ^ exported)
    assert wrong == {}
