"""Propensities: recovered from simulated clicks, deterministic, and what cannot be estimated is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ranking.data.clicks import simulate_clicks
from ranking.errors import DataError
from ranking.objectives.propensity import estimate_propensities
from tests.lists import one_list, random_lists


@pytest.fixture(scope="module")
def clicks() -> Any:
    """Shown in random order, so that position and relevance are independent; looked at with 1 / rank."""
    lists = random_lists(queries=80, longest=20, seed=3)
    shuffled = np.random.default_rng(1).normal(size=lists.document_count)
    return simulate_clicks(lists, shuffled, sessions=60, eta=1.0, shown=6, seed=5)


def test_true_propensities_are_recovered(clicks: Any) -> None:
    """Within a tenth of the truth, 1 / rank, from some 4,800 sessions."""
    estimate = estimate_propensities(clicks)
    assert estimate == pytest.approx(1 / np.arange(1, 7), abs=0.05, rel=0.1)


def test_features_correct_what_raw_click_rates_get_wrong() -> None:
    """Shown best first with some noise, click rates fall faster than attention does."""
    lists = random_lists(queries=300, longest=20, seed=4)
    ranker = lists.labels + np.random.default_rng(0).normal(size=lists.document_count)
    shown = simulate_clicks(lists, ranker, sessions=30, eta=0.5, shown=6, seed=6)
    truth = np.arange(1, 7) ** -0.5
    rates = np.bincount(shown.positions - 1, shown.labels) / np.bincount(shown.positions - 1)
    estimate = estimate_propensities(shown)
    assert np.abs(estimate - truth).max() < 0.6 * np.abs(rates / rates[0] - truth).max()


def test_the_same_data_give_the_same_numbers(clicks: Any) -> None:
    """A resumed run must find them again."""
    assert (estimate_propensities(clicks) == estimate_propensities(clicks)).all()


def test_missing_features_are_taken(clicks: Any) -> None:
    holes = clicks.features.copy()
    holes[::3, 0] = np.nan
    assert np.isfinite(estimate_propensities(replace(clicks, features=holes))).all()


@pytest.mark.parametrize(
    ("labels", "positions", "message"),
    [
        ([0.0, 1.0], None, "needs the position"),
        ([0.0, 1.0], [0, 1], "row 0 has position 0: positions count from 1"),
        ([0.0, 1.0], [2, 2], "every document was shown at position 2"),
        ([0.0, 0.0], [1, 2], "no label is above 0"),
    ],
)
def test_what_cannot_be_estimated_is_said(labels: list[float], positions: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        estimate_propensities(one_list(labels), positions=positions)
