"""Medians, ratios and verdicts on targets, as values."""

from __future__ import annotations

import pytest

from harness.bench.figures import Figure, Verdict, is_noisy, judge, paired_ratio, summarise


def test_a_figure_is_the_median_with_its_spread_and_count() -> None:
    assert summarise([3.0, 1.0, 2.0]) == Figure(median=2.0, lowest=1.0, highest=3.0, samples=3)
    assert summarise([1.0, 2.0]) == Figure(median=1.5, lowest=1.0, highest=2.0, samples=2)


def test_no_samples_are_no_figure() -> None:
    assert summarise([]) is None


def test_a_ratio_is_taken_round_by_round() -> None:
    # A slow second round hits both: the ratio does not see it, where a ratio of means would.
    assert paired_ratio([1.0, 10.0, 1.0], [2.0, 20.0, 2.0]) == Figure(0.5, 0.5, 0.5, 3)


def test_rounds_that_only_one_finished_are_left_out_of_a_ratio() -> None:
    assert paired_ratio([1.0, 5.0], [2.0]) == Figure(0.5, 0.5, 0.5, 1)
    assert paired_ratio([1.0], []) is None
    assert paired_ratio([1.0], [0.0]) is None


@pytest.mark.parametrize(
    ("median", "target", "verdict"),
    [
        (3.4, 3.5, Verdict.MET),
        (3.5, 3.5, Verdict.MET),
        (3.51, 3.5, Verdict.MISSED),
        (99.0, None, Verdict.NO_TARGET),
    ],
)
def test_the_median_decides_on_a_target(median: float, target: float | None, verdict: Verdict) -> None:
    assert judge(Figure(median, 0.0, 100.0, 3), target) is verdict


@pytest.mark.parametrize("target", [3.5, None])
def test_without_a_figure_nothing_is_known(target: float | None) -> None:
    assert judge(None, target) is Verdict.OPEN


def test_a_spread_above_a_quarter_of_the_median_is_noise() -> None:
    assert not is_noisy(Figure(100.0, 90.0, 115.0, 3))
    assert is_noisy(Figure(100.0, 90.0, 116.0, 3))
    assert not is_noisy(Figure(100.0, 100.0, 100.0, 1))
