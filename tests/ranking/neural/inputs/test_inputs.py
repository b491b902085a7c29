"""What features become: by hand, held where training saw nothing, and stored whole."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from ranking.errors import DataError
from ranking.neural.inputs import FORMS, Inputs, fit_inputs
from ranking.neural.inputs.bins import Bins


def columns() -> np.ndarray:
    rng = np.random.default_rng(0)
    heavy = np.exp(3 * rng.normal(size=2000))
    return np.stack([rng.normal(5, 2, 2000), heavy, rng.integers(0, 3, 2000), np.full(2000, 7.0)], 1).astype(
        np.float32
    )


def bins_of(raw: np.ndarray) -> Bins:
    bins = fit_inputs(raw, "encoded", 0).parts[1]
    assert isinstance(bins, Bins)
    return bins


def test_quantiles_become_normal_scores() -> None:
    raw = columns()
    scaled = fit_inputs(raw, "quantile", 0)(raw)
    assert scaled.shape == (2000, 3)
    for feature in (0, 1):
        wanted = np.sort(np.clip(ndtri((np.arange(2000) + 0.5) / 2000), -3.5, 3.5))
        assert np.sort(scaled[:, feature]) == pytest.approx(wanted, abs=0.15)
    order = np.argsort(raw[:, 1])
    assert (np.diff(scaled[order, 1]) >= 0).all()


def test_few_values_keep_the_mid_rank_of_their_rows() -> None:
    """Ranks 1.5/4 and 3.5/4, then mean 0 and deviation 1 over the rows."""
    raw = np.array([[0.0], [0.0], [0.0], [1.0]], np.float32)
    scaled = fit_inputs(raw, "quantile", 0)(raw)[:, 0]
    scores = ndtri(np.array([1.5, 1.5, 1.5, 3.5]) / 4)
    assert scaled == pytest.approx((scores - scores.mean()) / scores.std())


@pytest.mark.parametrize("form", FORMS)
def test_a_feature_with_one_value_is_left_out(form: str) -> None:
    raw = columns()
    inputs = fit_inputs(raw, form, 0)
    assert np.unique(np.concatenate([part.feature for part in inputs.parts])).tolist() == [0, 1, 2]
    with pytest.raises(DataError, match="every feature has one value"):
        fit_inputs(raw[:, 3:], form, 0)


@pytest.mark.parametrize(("form", "made"), [("standard", lambda x: x), ("log", np.log1p)])
def test_standard_forms_have_mean_0_and_deviation_1(form: str, made: object) -> None:
    raw = np.abs(columns())
    scaled = fit_inputs(raw, form, 0)(raw)
    wanted = made(raw[:, 0].astype(float))  # type: ignore[operator]
    assert scaled[:, 0] == pytest.approx(np.clip((wanted - wanted.mean()) / wanted.std(), -6, 6), abs=1e-9)
    assert fit_inputs(-raw, "log", 0)(-raw)[:, 0] == pytest.approx(-fit_inputs(raw, "log", 0)(raw)[:, 0])


@pytest.mark.parametrize("form", FORMS)
def test_what_training_did_not_see_is_held(form: str) -> None:
    inputs = fit_inputs(columns(), form, 0)
    far = inputs(np.array([[3e38, -3e38, 1e9, 0.0]], np.float32))
    assert np.abs(far).max() <= 6


@pytest.mark.parametrize("form", FORMS)
def test_a_missing_value_is_the_mean_and_says_so(form: str) -> None:
    raw = columns()
    raw[:40, 1] = np.nan
    raw[:5, 0] = np.nan  # too few to be told
    raw[:40, 3] = np.nan  # the only thing that tells rows apart by it
    inputs = fit_inputs(raw, form, 0)
    assert inputs.parts[-1].feature.tolist() == [1, 3]
    scaled = inputs(raw)
    told = (np.arange(2000) < 40).astype(float)
    assert scaled[:, -1] == pytest.approx((told - told.mean()) / told.std())
    missing = np.full((1, 4), np.nan, np.float32)
    assert inputs(missing)[0, :-2].tolist() == [0.0] * (inputs.width - 2)


@pytest.mark.parametrize("form", FORMS)
def test_arrays_hold_all_of_it(form: str) -> None:
    raw = columns()
    raw[::9, 2] = np.nan
    inputs = fit_inputs(raw, form, 0)
    again = Inputs.of_arrays(form, inputs.arrays(), 4)
    np.testing.assert_array_equal(again(raw), inputs(raw))
    with pytest.raises(ValueError, match="do not fit the features"):
        Inputs.of_arrays(form, inputs.arrays(), 2)
    other = next(name for name in FORMS if name != form)
    with pytest.raises((ValueError, KeyError)):
        Inputs.of_arrays(other, inputs.arrays(), 4)


def test_a_feature_that_is_never_there_is_no_error() -> None:
    raw = columns()
    raw[:, 0] = np.nan
    for form in FORMS:
        assert np.isfinite(fit_inputs(raw, form, 0)(raw)).all()


# --- The piecewise-linear encoding --------------------------------------------------------------------


def test_a_value_has_come_through_the_bins_below_it() -> None:
    """The quantiles of 0, 1, 3 are 0, 1/8, …, 1, 5/4, …, 3: by hand, before they are standardised."""
    raw = np.array([[0.0], [1.0], [3.0], [2.0]], np.float32)
    bins = bins_of(raw[:3])
    assert bins.low.tolist() == [*np.arange(0, 1, 1 / 8), *np.arange(1, 3, 1 / 4)]
    np.testing.assert_array_equal(bins.low[1:], bins.high[:-1])
    come = bins(raw) / bins.scale + bins.mean
    widths = bins.high - bins.low
    np.testing.assert_allclose(come @ widths, [0, 1, 3, 2], atol=1e-12)  # what it has come, added up
    assert (np.diff(come[[0, 1, 3, 2]], axis=0) >= -1e-12).all()


def test_bins_lie_between_quantiles_of_distinct_values() -> None:
    """A feature that is mostly 0 has its bins where its values are; a constant one has none."""
    rng = np.random.default_rng(0)
    mostly = np.where(rng.random(4000) < 0.9, 0, rng.uniform(1, 2, 4000))
    raw = np.stack([mostly, np.full(4000, 7.0), rng.integers(0, 2, 4000)], 1).astype(np.float32)
    bins = bins_of(raw)
    assert np.bincount(bins.feature).tolist() == [16, 0, 16]
    assert (bins.low[:16] > 0.9).sum() >= 14


def test_bins_are_half_as_wide_as_a_standard_score() -> None:
    raw = columns()
    made = bins_of(raw)(raw)
    assert np.abs(made.mean(axis=0)).max() < 0.02  # those of the long tail are held
    wide = made[:, np.abs(made).max(axis=0) < 3.9].std(axis=0)
    assert len(wide) > 20
    assert ((wide > 0.4) & (wide <= 0.5)).all()


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


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("bins.feature", lambda a: a + 2, "bins do not fit"),
        ("bins.feature", lambda a: a[::-1], "do not follow each other"),
        ("bins.feature", lambda a: np.minimum(a, 1), "do not follow each other"),
        ("bins.low", lambda a: a[1:], "bins do not fit each other"),
        ("bins.high", lambda a: a - 1e9, "a bin without width"),
        ("quantiles.knots", lambda a: a[:, ::-1], "knots of the quantiles do not rise"),
        ("quantiles.levels", lambda a: a[:, 1:], "do not fit their levels"),
        ("quantiles.feature", lambda a: a[::-1] * 0, "not of the same features"),
        ("indicators.scale", lambda a: a * 0, "a scale that is not above 0"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name: str, change: object, message: str) -> None:
    raw = columns()
    raw[::9, 2] = np.nan
    arrays = fit_inputs(raw, "encoded", 0).arrays()
    wrong = change(arrays[f"inputs.{name}"])  # type: ignore[operator]
    with pytest.raises(ValueError, match=message):
        Inputs.of_arrays("encoded", arrays | {f"inputs.{name}": wrong}, 4)
