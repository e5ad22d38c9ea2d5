"""How the tables of the benchmarks write numbers."""

import re

from benchmarks.table import coverage, with_interval


def test_a_mean_is_written_with_an_interval_that_holds_it():
    low, mean, high = -1.0, 1.0, 3.0
    assert with_interval([low, high] * 4)[:4] == f"{mean:.2f}"
    written = [float(number) for number in re.findall(r"[-\d.]+", with_interval([low, high] * 4))]
    assert low < written[1] < written[0] < written[2] < high


def test_values_that_are_all_the_same_leave_no_doubt_and_a_plus_is_written_if_wanted():
    assert with_interval([1.0, 1.0], 1, sign=True) == "+1.0 [+1.0, +1.0]"


def test_one_value_has_no_interval_and_nothing_is_a_dash():
    assert with_interval([0.5], 1) == "0.5"
    assert with_interval([]) == "-"


def test_an_interval_over_few_values_is_known_to_be_too_narrow():
    few, many = (coverage(count, trials=200, resamples=200) for count in (4, 60))
    assert 0.7 < few < 0.88 < many < 0.99
