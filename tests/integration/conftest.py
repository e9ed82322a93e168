"""The servers that these tests run against."""

from importlib.util import find_spec

from tests.servers.fixtures import postgres

__all__ = ["postgres"]

collect_ignore_glob = [] if find_spec("durabletask.postgres") else ["test_postgres*.py"]
