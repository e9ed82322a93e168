"""Percentiles and spans."""

import time

import pytest

from benchmarks.measure import Meter, percentile


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.0, 1.0), (0.5, 5.0), (0.51, 6.0), (0.95, 10.0), (0.99, 10.0), (1.0, 10.0)],
)
def test_a_percentile_is_one_of_the_values(share: float, expected: float) -> None:
    values = [float(value) for value in (7, 3, 10, 1, 9, 5, 2, 8, 4, 6)]
    assert percentile(values, share) == expected


def test_the_percentile_of_one_value_is_that_value() -> None:
    assert [percentile([4.0], share) for share in (0.0, 0.5, 1.0)] == [4.0, 4.0, 4.0]


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 1.1), ([1.0], -0.1)])
def test_a_percentile_of_nothing_is_refused(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match="no percentile"):
        percentile(values, share)


def test_a_span_holds_wall_and_cpu_time_of_its_body() -> None:
    meter = Meter()
    with meter.span() as sleeping:
        time.sleep(0.02)
    with meter.span() as working:
        until = time.process_time() + 0.02
        while time.process_time() < until:
            pass
    assert sleeping.wall >= 0.02 > sleeping.cpu
    assert working.cpu >= 0.02


def test_a_span_is_filled_in_although_its_body_fails() -> None:
    with pytest.raises(LookupError), Meter().span() as span:
        raise LookupError
    assert span.wall > 0
