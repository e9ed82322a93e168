"""The order of versions, and which of them a worker takes."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import InvalidVersion, Version

from durabletask.versions import VersionRule, compare_versions

ASCENDING = [
    None,
    "1.0.dev456",
    "1.0a1",
    "1.0a2.dev456",
    "1.0a12.dev456",
    "1.0a12",
    "1.0b1.dev456",
    "1.0b2",
    "1.0b2.post345.dev456",
    "1.0b2.post345",
    "1.0rc1.dev456",
    "1.0rc1",
    "1.0",
    "1.0+abc.5",
    "1.0+abc.7",
    "1.0+5",
    "1.0.post456.dev34",
    "1.0.post456",
    "1.1.dev1",
    "1.9",
    "1.10",
    "1!0.1",
]

EQUAL = [
    (None, ""),
    ("1", "1.0.0"),
    ("v1.0", " 1.0 "),
    ("1.0-ALPHA_1", "1a1"),
    ("1.0preview", "1.0c0"),
    ("1.0-3", "1.0.post3"),
    ("1.0r", "1.0.post0"),
    ("1.0_dev", "1.dev0"),
    ("1.0+Ubuntu-1", "1+ubuntu.01"),
    ("0!00.1", "0.1"),
]

TEXTS = [("build-7", "build-8"), ("1.10", "1.9 beta of June"), ("2.0", "blue"), ("1.0.", "1.0.a")]

numbers = st.integers(0, 30).map(str)
separators = st.sampled_from(["", ".", "-", "_"])


@st.composite
def versions(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(["", "v", "V", "  "]))
    text += draw(st.sampled_from(["", "0!", "2!"]))
    text += ".".join(draw(st.lists(numbers | st.just("0"), min_size=1, max_size=4)))
    if draw(st.booleans()):
        spelling = draw(st.sampled_from(["a", "ALPHA", "b", "Beta", "c", "rc", "pre", "preview"]))
        text += draw(separators) + spelling + draw(separators) + draw(numbers | st.just(""))
    if draw(st.booleans()):
        spelling = draw(st.sampled_from(["post", "rev", "R"]))
        text += draw(separators) + spelling + draw(separators) + draw(numbers | st.just(""))
    elif draw(st.booleans()):
        text += "-" + draw(numbers)
    if draw(st.booleans()):
        text += draw(separators) + "dev" + draw(separators) + draw(numbers | st.just(""))
    if draw(st.booleans()):
        segments = st.lists(numbers | st.sampled_from(["a", "B2", "0c"]), min_size=1, max_size=3)
        text += "+" + draw(st.sampled_from(".-_")).join(draw(segments))
    return text


def sign(number: int) -> int:
    return (number > 0) - (number < 0)


def test_pep_440_is_followed():
    """**version-match** Empty is lowest; then the order that PEP 440 shows."""
    for (low, one), (high, other) in itertools.product(enumerate(ASCENDING), repeat=2):
        assert sign(compare_versions(one, other)) == sign(low - high), (one, other)


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_spellings_of_one_version_are_equal(one, other):
    """**version-match** What PEP 440 normalizes to one version is one version."""
    assert compare_versions(one, other) == compare_versions(other, one) == 0


@pytest.mark.parametrize(("low", "high"), TEXTS)
def test_other_versions_are_ordered_by_their_text(low, high):
    """**version-match** Else text order, as soon as one of the two follows no scheme."""
    assert compare_versions(low, high) < 0 < compare_versions(high, low)
    assert compare_versions(low, low) == compare_versions(high, high) == 0


@given(versions() | st.text("0123456789.abcrdevpost+-_!v ", max_size=12), versions())
def test_the_order_is_that_of_packaging(one, other):
    """**version-match** Whatever is written: PEP 440 if both follow it, else text."""
    try:
        left, right = Version(one), Version(other)
    except InvalidVersion:
        wanted = (one > other) - (one < other) if one else -1
    else:
        wanted = (left > right) - (left < right)
    assert sign(compare_versions(one, other)) == wanted
    assert sign(compare_versions(other, one)) == -wanted


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_text_is_a_version(one, other):
    """**version-match** There is an answer for everything, the same from both sides."""
    assert sign(compare_versions(one, other)) == -sign(compare_versions(other, one))
    assert compare_versions(one, one) == 0


def test_an_endless_number_is_text():
    """Digits beyond reason make no version, and no error."""
    huge = "9" * 5000
    assert compare_versions(huge, "1") > 0
    assert compare_versions("1+" + huge, "1+a" + huge) < 0


TAKEN = {
    "none": [None, "", "1", "2", "2.0", "3", "main"],
    "strict": ["2", "2.0"],
    "current_or_older": [None, "", "1", "2", "2.0"],
}


@pytest.mark.parametrize("match", TAKEN)
def test_a_rule_takes_versions_by_its_strategy(match):
    """**version-match** Worker strategies none, strict, current-or-older."""
    rule = VersionRule(version="2", match=match)
    versions = [None, "", "1", "2", "2.0", "3", "main"]
    assert [version for version in versions if rule.takes(version)] == TAKEN[match]


@pytest.mark.parametrize("match", ["strict", "current_or_older"])
def test_a_worker_without_a_version_takes_the_lowest(match):
    """**version-match** Empty is lowest: there is nothing older than no version."""
    rule = VersionRule(match=match)
    assert rule.takes(None)
    assert rule.takes("")
    assert not rule.takes("0.0.dev0")
