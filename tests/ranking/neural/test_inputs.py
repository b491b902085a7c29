"""Scaled features: what they are, that outliers do not reach the network, that they are stored whole."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from ranking.neural.inputs import Inputs, fit_inputs
from ranking.neural.settings import SCALINGS


def columns() -> np.ndarray:
    rng = np.random.default_rng(0)
    heavy = np.exp(3 * rng.normal(size=2000))
    return np.stack([rng.normal(5, 2, 2000), heavy, rng.integers(0, 3, 2000), np.full(2000, 7.0)], 1).astype(
        np.float32
    )


def test_quantiles_become_normal_scores() -> None:
    raw = columns()
    scaled = fit_inputs(raw, "quantile", 0)(raw)
    assert scaled.shape == (2000, 4)
    for feature in (0, 1):
        assert scaled[:, feature].mean() == pytest.approx(0, abs=0.03)
        assert scaled[:, feature].std() == pytest.approx(1, abs=0.05)
    order = np.argsort(raw[:, 1])
    assert (np.diff(scaled[order, 1]) >= 0).all()


def test_few_values_keep_the_mid_rank_of_their_rows() -> None:
    raw = np.array([[0.0], [0.0], [0.0], [1.0]], np.float32)
    scaled = fit_inputs(raw, "quantile", 0)(raw)
    assert scaled[:, 0].tolist() == pytest.approx([ndtri(1.5 / 4)] * 3 + [ndtri(3.5 / 4)])


def test_standard_scaling_tames_heavy_tails_alone() -> None:
    raw = columns()
    inputs = fit_inputs(raw, "standard", 0)
    assert inputs.logs.tolist() == [False, True, False, False]
    scaled = inputs(raw)
    assert scaled[:, 0].std() == pytest.approx(1, abs=0.01)
    assert (scaled[:, 3] == 0).all()


@pytest.mark.parametrize("scaling", SCALINGS)
def test_what_training_did_not_see_is_held(scaling: str) -> None:
    inputs = fit_inputs(columns(), scaling, 0)
    far = inputs(np.array([[3e38, -3e38, 1e9, 0.0]], np.float32))
    assert np.abs(far).max() <= 6


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_missing_value_is_the_median_and_says_so(scaling: str) -> None:
    raw = columns()
    raw[:40, 1] = np.nan
    inputs = fit_inputs(raw, scaling, 0)
    assert inputs.width == 5 + len(inputs.bins.feature)
    scaled = inputs(raw)
    assert scaled[:, -1].tolist() == [1.0] * 40 + [0.0] * 1960
    median = np.array([[0, np.nanmedian(raw[:, 1]), 0, 0]], np.float32)
    assert scaled[0, 1] == pytest.approx(inputs(median)[0, 1], abs=1e-3)
    whole = np.full((1, 4), np.nan, np.float32)
    assert np.isfinite(inputs(whole)).all()


@pytest.mark.parametrize("scaling", SCALINGS)
def test_arrays_hold_all_of_it(scaling: str) -> None:
    raw = columns()
    raw[::9, 2] = np.nan
    inputs = fit_inputs(raw, scaling, 0)
    again = Inputs.of_arrays(inputs.arrays(), 4)
    np.testing.assert_array_equal(again(raw), inputs(raw))
    with pytest.raises(ValueError, match="do not fit"):
        Inputs.of_arrays(inputs.arrays(), 5)
    wrong = inputs.arrays() | {"inputs.indicators": np.array([4])}
    with pytest.raises(ValueError, match="an indicator of no feature"):
        Inputs.of_arrays(wrong, 4)


def test_a_feature_that_is_never_there_is_no_error() -> None:
    raw = columns()
    raw[:, 0] = np.nan
    for scaling in SCALINGS:
        assert np.isfinite(fit_inputs(raw, scaling, 0)(raw)).all()


# --- The piecewise-linear encoding --------------------------------------------------------------------


def test_a_value_has_come_through_the_bins_below_it() -> None:
    """Two bins of 0, 1, 3: by hand, before they are standardised."""
    raw = np.array([[0.0], [1.0], [3.0], [2.0]], np.float32)
    bins = fit_inputs(raw[:3], "encoded", 0).bins
    come = bins(raw.astype(float)) / bins.scale + bins.mean
    assert (bins.low.tolist()[0], bins.high.tolist()[-1]) == (0.0, 3.0)
    np.testing.assert_array_equal(bins.low[1:], bins.high[:-1])
    widths = bins.high - bins.low
    np.testing.assert_allclose(come @ widths, [0, 1, 3, 2], atol=1e-12)  # what it has come, added up
    assert (np.diff(come[[0, 1, 3, 2]], axis=0) >= -1e-12).all()


def test_bins_lie_between_quantiles_of_distinct_values() -> None:
    """A feature that is mostly 0 has its bins where its values are; a constant one has none."""
    rng = np.random.default_rng(0)
    mostly = np.where(rng.random(4000) < 0.9, 0, rng.uniform(1, 2, 4000))
    raw = np.stack([mostly, np.full(4000, 7.0), rng.integers(0, 3, 4000)], 1).astype(np.float32)
    bins = fit_inputs(raw, "encoded", 0).bins
    assert np.bincount(bins.feature).tolist() == [16, 0, 2]
    assert (bins.low[:16] > 0.9).sum() >= 14


def test_a_layer_on_the_encoding_is_any_piecewise_linear_function() -> None:
    rng = np.random.default_rng(1)
    raw = rng.normal(size=(3000, 1)).astype(np.float32)
    inputs = fit_inputs(raw, "encoded", 0)
    wanted = np.sin(3 * raw[:, 0])
    design = np.c_[inputs(raw)[:, 1:], np.ones(3000)]
    fitted = design @ np.linalg.lstsq(design, wanted, rcond=None)[0]
    straight = np.c_[inputs(raw)[:, :1], np.ones(3000)]
    line = straight @ np.linalg.lstsq(straight, wanted, rcond=None)[0]
    assert np.mean((fitted - wanted) ** 2) < 0.1 * np.mean((line - wanted) ** 2)


def test_bins_that_do_not_fit_are_refused() -> None:
    arrays = fit_inputs(columns(), "encoded", 0).arrays()
    for change, message in (
        ({"inputs.bins.feature": arrays["inputs.bins.feature"] + 2}, "bins do not fit"),
        ({"inputs.bins.low": arrays["inputs.bins.low"][1:]}, "bins do not fit"),
        ({"inputs.bins.high": arrays["inputs.bins.low"]}, "a bin without width"),
    ):
        with pytest.raises(ValueError, match=message):
            Inputs.of_arrays(arrays | change, 4)


def test_models_from_before_the_encoding_open() -> None:
    inputs = fit_inputs(columns(), "quantile", 0)
    assert not any("bins" in name for name in inputs.arrays())
