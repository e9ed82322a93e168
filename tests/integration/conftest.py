"""The servers that these tests run against."""

from tests.servers.fixtures import postgres

__all__ = ["postgres"]
