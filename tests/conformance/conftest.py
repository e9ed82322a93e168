"""The servers that suites run against, and which suites there are: one per installed backend."""

from importlib.util import find_spec

from tests.servers.fixtures import postgres

__all__ = ["postgres"]

collect_ignore_glob = [] if find_spec("durabletask.postgres") else ["test_postgres_*.py"]
