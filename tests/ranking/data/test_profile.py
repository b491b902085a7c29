"""Shares of training values by decile."""

from __future__ import annotations

import numpy as np
import pytest

from ranking.data.profile import feature_profile, feature_ranges


def test_deciles_missing_and_constant_features() -> None:
    """Worked by hand: distinct values fall evenly, a constant has one edge, a quarter is missing."""
    features = np.full((100, 4), np.nan, np.float32)
    features[:, 0] = np.arange(100)
    features[:, 1] = 7
    features[25:, 2] = np.arange(75)
    even, constant, quarter, absent = feature_profile(features) or []
    assert len(even["edges"]) == 9
    np.testing.assert_allclose(even["shares"], 0.1, atol=0.011)
    assert sum(even["shares"]) == pytest.approx(1)
    assert constant == {"edges": [7.0], "shares": [1.0, 0.0], "missing": 0.0}
    assert quarter["missing"] == 0.25
    assert absent == {"edges": [], "shares": [], "missing": 1.0}
    assert feature_ranges(features) == [[0, 99], [7, 7], [0, 74], None]


def test_very_wide_data_have_no_profile() -> None:
    """The manifest has a size limit."""
    assert feature_profile(np.zeros((1, 2001), np.float32)) is None
