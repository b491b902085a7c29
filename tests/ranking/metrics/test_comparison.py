"""Bootstrap intervals, the paired randomisation test, Holm's correction, and the three together."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from ranking.errors import DataError, UsageError
from ranking.metrics import comparison
from ranking.metrics.comparison import bootstrap_interval, compare, holm, paired_randomisation


def test_interval_of_one_query_is_its_value() -> None:
    """There is nothing to resample, and skipped queries do not count."""
    assert bootstrap_interval(np.array([math.nan, 0.4, math.nan])) == (0.4, 0.4)
    assert bootstrap_interval(np.array([0.1, 0.4]), np.array([0.0, 2.0])) == (0.4, 0.4)


def test_interval_of_equal_values_is_a_point() -> None:
    """With any weights."""
    assert bootstrap_interval(np.full(20, 0.25)) == (0.25, 0.25)
    assert bootstrap_interval(np.full(20, 0.25), np.arange(1.0, 21.0)) == pytest.approx((0.25, 0.25))


def test_interval_of_two_queries_is_worked_out() -> None:
    """Resamples of (0, 1) have means 0, 1/2, 1 with chances 1/4, 1/2, 1/4: the middle 40 % are all 1/2."""
    assert bootstrap_interval(np.array([0.0, 1.0]), level=0.4) == (0.5, 0.5)
    assert bootstrap_interval(np.array([0.0, 1.0]), level=0.6) == (0.0, 1.0)


def test_weighted_interval_draws_queries_with_their_weight() -> None:
    """Of (0, 1) with weights 1 and 3 the mixed resample has mean 3/4."""
    assert bootstrap_interval(np.array([0.0, 1.0]), np.array([1.0, 3.0]), level=0.4) == (0.75, 0.75)


def test_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    """95 % intervals of 300 samples of a skewed distribution on [0, 1]."""
    rng = np.random.default_rng(11)
    intervals = [bootstrap_interval(rng.beta(2, 3, 60), resamples=400, seed=i) for i in range(300)]
    covered = np.mean([low <= 2 / 5 <= high for low, high in intervals])
    assert 0.91 <= covered <= 0.98


def test_interval_has_the_width_of_the_normal_approximation() -> None:
    """For many queries: mean +- 1.96 standard errors."""
    values = np.random.default_rng(12).random(2000)
    low, high = bootstrap_interval(values)
    error = values.std() / math.sqrt(2000)
    assert (low, high) == pytest.approx(
        (values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=error / 8
    )


def test_the_seed_decides_the_draws() -> None:
    """The same twice by the same seed, another by another."""
    values = np.random.default_rng(13).random(50)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)
    other = values + np.random.default_rng(14).normal(0, 0.1, 50)
    assert paired_randomisation(values, other, seed=1) == paired_randomisation(values, other, seed=1)
    assert paired_randomisation(values, other, seed=1) != paired_randomisation(values, other, seed=2)


def test_blocks_only_bound_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row at a time or all at once: every row is drawn once, and the answers agree closely."""
    values = np.random.default_rng(15).random(40)
    other = values + np.random.default_rng(16).normal(0.02, 0.1, 40)
    whole = bootstrap_interval(values), paired_randomisation(values, other)
    monkeypatch.setattr(comparison, "_BLOCK", 1)
    assert list(comparison._blocks(3, 40)) == [(0, 1), (1, 2), (2, 3)]
    np.testing.assert_allclose(bootstrap_interval(values), whole[0], atol=0.01)
    assert paired_randomisation(values, other) == pytest.approx(whole[1], abs=0.02)


def test_randomisation_of_identical_systems_is_one() -> None:
    """Also where only the order of summation differs."""
    values = np.random.default_rng(17).random(30)
    assert paired_randomisation(values, values) == 1.0
    assert paired_randomisation(values, values * (1 + 1e-15)) == 1.0


def test_randomisation_of_few_queries_is_exact() -> None:
    """All sign patterns are counted.

    Of 1, 2, 3 only +++ and --- reach 6. With +5 the sums of ±1 ±2 ±3 (6 0 2 -4 4 -2 0 -6) reach 5 in
    five cases (11 5 7 9 5), and with -5 in five more.
    """
    assert paired_randomisation(np.array([1.0, 2.0, 3.0]), np.zeros(3)) == 2 / 8
    assert paired_randomisation(np.array([1.0, 2.0, -3.0, 5.0]), np.zeros(4)) == 10 / 16


def test_randomisation_is_not_misled_by_rounding() -> None:
    """Differences in tenths have the p of the same whole numbers, though their sums are rounded."""
    whole = np.array([1.0, 3.0, 6.0, -4.0, -1.0])
    assert paired_randomisation(whole, np.zeros(5)) == 22 / 32
    assert paired_randomisation(whole / 10, np.zeros(5)) == 22 / 32


def test_exact_randomisation_equals_listing_all_signs() -> None:
    """With weights, skipped queries and equal values, which change nothing."""
    rng = np.random.default_rng(18)
    a, b, weights = rng.random(12), rng.random(12), rng.random(12) + 0.5
    a[3] = math.nan
    a[5] = b[5]
    steps = np.nan_to_num((a - b) * weights)
    sums = [abs(float(np.dot(signs, steps))) for signs in itertools.product((-1, 1), repeat=12)]
    expected = np.mean(np.array(sums) >= abs(steps.sum()) - 1e-12)
    assert paired_randomisation(a, b, weights) == expected


def test_drawn_randomisation_agrees_with_the_exact_one() -> None:
    """12 queries by 2000 draws rather than 4096 patterns: within four standard errors."""
    rng = np.random.default_rng(19)
    a, b = rng.random(12) + 0.1, rng.random(12)
    exact = paired_randomisation(a, b)
    drawn = paired_randomisation(a, b, permutations=2000)
    assert 0.02 < exact < 0.98
    assert drawn != exact
    assert abs(drawn - exact) < 4 * math.sqrt(exact * (1 - exact) / 2000)


def test_a_clear_difference_has_the_least_p_there_is() -> None:
    """(1 + 0)/(1 + permutations), since the observed order counts as one."""
    assert paired_randomisation(np.ones(40), np.zeros(40), permutations=999) == 1 / 1000


def test_randomisation_rejects_a_true_null_about_as_often_as_it_says() -> None:
    """Of 400 equal pairs about 5 % have p <= 0.05, by draws (15 queries) and by all patterns (8)."""
    rng = np.random.default_rng(20)
    for queries in (8, 15):
        p = [
            paired_randomisation(rng.random(queries), rng.random(queries), permutations=500, seed=i)
            for i in range(400)
        ]
        assert 0.02 <= np.mean(np.array(p) <= 0.05) <= 0.08


def test_randomisation_is_symmetric() -> None:
    """Two-sided: exchanging the systems changes nothing."""
    rng = np.random.default_rng(21)
    a, b = rng.random(30), rng.random(30)
    assert paired_randomisation(a, b) == paired_randomisation(b, a)


def test_holm_on_a_worked_example() -> None:
    """0.01 x 4, 0.02 x 3, then 0.022 x 2 and 0.05 x 1 lifted to what came before them."""
    assert holm({"a": 0.022, "b": 0.01, "c": 0.05, "d": 0.02}) == {
        "a": pytest.approx(0.06),
        "b": pytest.approx(0.04),
        "c": pytest.approx(0.06),
        "d": pytest.approx(0.06),
    }


def test_holm_is_capped_keeps_order_and_leaves_one_alone() -> None:
    """At most 1; a single p stays; no p gives none."""
    assert holm({"x": 0.9, "y": 0.6}) == {"x": 1.0, "y": 1.0}
    assert list(holm({"x": 0.9, "y": 0.6})) == ["x", "y"]
    assert holm({"x": 0.3}) == {"x": 0.3}
    assert holm({}) == {}


def test_compare_puts_the_parts_together() -> None:
    """Means, difference, wins, exact p and its correction, by hand."""
    a = {"ndcg@10": np.array([1.0, 0.5, 0.5, math.nan]), "map": np.array([0.5, 0.5, 0.5, 0.5])}
    b = {"ndcg@10": np.array([0.5, 0.5, 0.0, 1.0]), "map": np.array([0.5, 0.5, 0.5, 0.5])}
    result = compare(a, b)
    ndcg = result["ndcg@10"]
    assert [ndcg.mean_a, ndcg.mean_b] == pytest.approx([2 / 3, 1 / 3])
    assert ndcg.difference == pytest.approx(1 / 3)
    assert (ndcg.wins, ndcg.ties, ndcg.losses) == (2, 1, 0)
    assert (ndcg.p, ndcg.p_holm) == (2 / 4, 1.0)
    assert ndcg.interval == (0.0, 0.5)
    assert (result["map"].p, result["map"].interval, result["map"].ties) == (1.0, (0.0, 0.0), 4)


def test_compare_weighs_queries() -> None:
    """Weights 3 and 1 of differences 1 and -1; a query of weight 0 is not counted."""
    values = {"mrr": np.array([1.0, 0.0, 0.0])}, {"mrr": np.array([0.0, 1.0, 1.0])}
    one = compare(*values, np.array([3.0, 1.0, 0.0]))["mrr"]
    assert (one.mean_a, one.mean_b, one.difference) == (3 / 4, 1 / 4, 1 / 2)
    assert (one.wins, one.ties, one.losses) == (1, 0, 1)


def test_bad_input_is_refused_with_a_remedy() -> None:
    """Metrics or queries that do not match, nothing left, weights and counts out of range."""
    values = np.array([0.1, 0.2])
    with pytest.raises(DataError, match=r"same metrics, got map and ndcg@10"):
        compare({"map": values}, {"ndcg@10": values})
    with pytest.raises(DataError, match=r"query by query, got values of 2 and 1 queries"):
        paired_randomisation(values, values[:1])
    with pytest.raises(DataError, match=r'no query is left of 2.*empty="zero"'):
        bootstrap_interval(np.full(2, math.nan))
    with pytest.raises(DataError, match=r"one weight for each of the 2 queries, got 3"):
        bootstrap_interval(values, np.ones(3))
    with pytest.raises(DataError, match=r"finite and >= 0, entry 1 is -1"):
        bootstrap_interval(values, np.array([1.0, -1.0]))
    with pytest.raises(UsageError, match=r"between 0 and 1, such as 0\.95, got 95"):
        bootstrap_interval(values, level=95)
    with pytest.raises(UsageError, match="permutations must be at least 1, got 0"):
        paired_randomisation(values, values, permutations=0)
