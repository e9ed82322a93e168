"""Failed assertions of the kit show both sides, as those of any test module do.

pytest rewrites the assertions of modules that it is told of before they are imported; so this
module is the first that the package imports.
"""

from __future__ import annotations

import pytest

__all__ = ["EXPLAINED"]

EXPLAINED = ("durabletask.testing.conformance.backend", "durabletask.testing.conformance.store")
"""The packages whose assertions pytest explains."""

pytest.register_assert_rewrite(*EXPLAINED)
