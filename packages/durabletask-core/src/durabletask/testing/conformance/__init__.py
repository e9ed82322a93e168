"""Tests for authors of backends and stores: subclass a suite and override its fixtures."""

from durabletask.testing.conformance.assertions import EXPLAINED
from durabletask.testing.conformance.backend import BackendSuite
from durabletask.testing.conformance.store import StoreSuite

__all__ = ["EXPLAINED", "BackendSuite", "StoreSuite"]
