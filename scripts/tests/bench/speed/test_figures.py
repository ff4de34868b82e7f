"""The figures of several rounds: medians, spreads, percentiles and rates."""

import pytest

from bench.speed.figures import Sample, per_unit_us, percentile, rate, rounded, summary, together


def test_a_summary_has_the_median_and_the_spread_of_the_rounds() -> None:
    assert summary([3.0, 1.0, 2.0]) == {"median": 2.0, "min": 1.0, "max": 3.0, "values": [3.0, 1.0, 2.0]}


@pytest.mark.parametrize(("value", "shown"), [(12345.678, 12346.0), (8.76543, 8.765), (0.0, 0.0), (999.96, 1000.0)])
def test_numbers_keep_four_digits_and_large_ones_are_whole(value: float, shown: float) -> None:
    assert rounded(value) == shown


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([7.0], 0.99)) == (51.0, 100.0, 7.0)
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_the_events_of_the_first_moment_were_done_before_it_and_do_not_count() -> None:
    assert rate([(12.0, 30), (10.0, 500), (11.0, 20)]) == 25.0


@pytest.mark.parametrize("steps", [[], [(1.0, 5)], [(1.0, 5), (1.0, 5)]])
def test_events_of_one_moment_have_no_rate(steps: list[tuple[float, int]]) -> None:
    with pytest.raises(ValueError, match="one moment"):
        rate(steps)


def test_cpu_is_told_per_unit_and_only_of_processes_that_used_some_and_ran_all_the_time() -> None:
    before = {"orderfc": 1.0, "kafka": 5.0, "stopped": 1.0}
    after = {"orderfc": 1.5, "kafka": 5.0, "new": 3.0}
    assert per_unit_us(before, after, 1000) == {"orderfc": 500.0}
    assert per_unit_us(before, after, 0) == {}


def test_the_samples_of_a_row_are_put_together() -> None:
    row = together([Sample({"rate": 10.0}, {"orderfc": 5.0}), Sample({"rate": 30.0}, {"orderfc": 7.0, "redis": 2.0})])
    assert row["figures"]["rate"]["median"] == 20.0
    assert row["cpu_us"] == {"orderfc": 6.0, "redis": 1.0}
