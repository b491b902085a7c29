"""Simulated clicks: shown in the ranker's order, looked at less further down, clicked by relevance."""

from __future__ import annotations

import numpy as np
import pytest

from ranking.data.clicks import click_chances, simulate_clicks
from ranking.errors import UsageError
from tests.lists import one_list


def test_documents_stand_in_the_order_shown() -> None:
    lists = one_list([0.0, 1.0, 2.0, 0.0], targets=[0.5, -1.0, -2.0, -3.0])
    shown = simulate_clicks(lists, [0.1, 0.9, 0.5, 0.7], sessions=3, shown=3, seed=1)
    assert shown.query_ids == ["q.1", "q.2", "q.3"]
    assert shown.positions is not None
    assert shown.positions.tolist() == [1, 2, 3] * 3
    assert shown.features[:3, 0].tolist() == [1.0, 3.0, 2.0]
    assert shown.lessons.tolist() == [-1.0, -3.0, -2.0] * 3


def test_click_rates_are_attention_times_liking() -> None:
    """40,000 sessions: within three standard errors of theta · gamma."""
    lists = one_list([2.0, 0.0, 1.0])
    shown = simulate_clicks(lists, [3.0, 2.0, 1.0], sessions=40_000, eta=1.0, noise=0.1, seed=2)
    rates = shown.labels.reshape(-1, 3).mean(axis=0)
    expected = np.array([1.0, 0.1, 0.1 + 0.9 / 3]) / np.array([1, 2, 3])
    assert (np.abs(rates - expected) < 3 * np.sqrt(expected * (1 - expected) / 40_000) + 1e-12).all()
    assert click_chances(lists, 0.1) == pytest.approx([1.0, 0.1, 0.4])


def test_the_seed_decides_the_clicks() -> None:
    lists = one_list([1.0, 0.0, 1.0])
    one, again, other = (simulate_clicks(lists, [3, 2, 1], sessions=50, seed=seed) for seed in (1, 1, 2))
    assert (one.labels == again.labels).all()
    assert (one.labels != other.labels).any()


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(UsageError, match="noise in"):
        simulate_clicks(one_list([1.0, 0.0]), [1, 0], sessions=5, noise=1.5)
