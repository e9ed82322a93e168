"""The conformance kit of seam 1 is sound itself."""

from __future__ import annotations

import re
from collections import Counter

from durabletask.testing.conformance import BackendSuite
from durabletask.testing.conformance.backend import BackendFixtures

RULE = re.compile(r"\*\*[a-z]+(-[a-z]+)*\*\* ")
PROVED = frozenset(
    """
    replay-order replay-clock replay-ids replay-check replay-park replay-unknown
    yield-task yield-done yield-many dispose async-body base-exception
    all-waits all-empty any-winner cancel
    event-name event-buffer event-missing falsy event-timeout
    can-ends can-fresh can-events can-wait can-loop
    timer-time start-at retry-delay retry-type retry-quiet
    failure-shape failure-unregistered failure-serialize failure-infra failure-poison
    suspend terminate purge start-duplicate child-id wait
    turn-atomic turn-single activity-once inbox-order fan-in size hub
    """.split()
)
"""The rules that every backend keeps."""

WITHOUT_A_RULE = {
    "test_composites_nest_and_share",
    "test_filters_narrow_the_answer",
    "test_pages_make_up_all",
    "test_the_custom_status_is_seen",
    "test_times_of_a_life",
}
"""Tests of what the documentation of the client and of composites promises."""


def own_tests(suite: type) -> set[str]:
    """The names of the tests that a suite defines itself."""
    return {name for name in vars(suite) if name.startswith("test_")}


def test_no_suite_hides_a_test_of_another() -> None:
    """In the combined suite every test has a name of its own."""
    names = Counter(name for suite in BackendSuite.__mro__ for name in own_tests(suite))
    assert [name for name, count in names.items() if count > 1] == []


def test_every_rule_is_proved() -> None:
    """No rule goes without a test that names it."""
    texts = [
        vars(suite)[name].__doc__ or ""
        for suite in BackendSuite.__mro__
        for name in own_tests(suite)
    ]
    named = {rule for text in texts for rule in re.findall(r"\*\*([a-z-]+)\*\*", text)}
    assert PROVED - named == set()


def test_every_test_names_its_rule() -> None:
    """The docstring of a test begins with the rule it proves."""
    suites = [suite for suite in BackendSuite.__mro__ if issubclass(suite, BackendFixtures)]
    without = {
        name
        for suite in suites
        for name in own_tests(suite)
        if not RULE.match(vars(suite)[name].__doc__ or "")
    }
    assert without == WITHOUT_A_RULE
