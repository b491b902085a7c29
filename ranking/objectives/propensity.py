"""How likely a position is looked at: propensities of the position-based click model, by maximum likelihood.

    P(click) = theta_position · gamma(document),   gamma = 1 / (1 + exp(−(w · x + b)))

A click needs a look and a liking. Theta is fixed by documents that features say are alike and that were shown
at different positions. Where the ranker that showed them is a function of the same features, position and
liking go hand in hand and no data can tell them apart: some shuffling, several rankers or changing candidates
are needed.

The paper climbs the likelihood by EM, which takes hundreds of regressions; here L-BFGS climbs it directly.

Source: Wang, Golbandi, Bendersky, Metzler, Najork 2018, "Position bias estimation for unbiased learning to
rank in personal search".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from scipy.special import logit as log_odds

from ranking.data.arrays import Float64
from ranking.data.dataset import RankingDataset
from ranking.errors import DataError

_ITERATIONS = 300
_RIDGE = 1.0
"""Of the regression's weights, in documents."""
_LARGEST_SAMPLE = 200_000
"""Documents the estimate is made from at most: whole queries, evenly spaced."""


def estimate_propensities(dataset: RankingDataset, *, positions: Any = None) -> Float64:
    """The propensity of each position from 1, float64 [largest position], relative to the first.

    Labels above 0 are clicks. `positions` int64 [documents] are those of the data set by default. Nothing is
    drawn at random: the same data give the same numbers. A position at which nothing was ever clicked has 0.

    Raises DataError where positions are missing, or the data cannot tell (no click, one position only).
    """
    places = _checked(dataset.positions if positions is None else positions, dataset)
    largest = int(places.max())
    rows = _sample(dataset)
    clicks, places = (dataset.labels[rows] > 0).astype(np.float64), places[rows] - 1
    inputs = _inputs(dataset, rows)
    shown = np.bincount(places, minlength=largest)
    rate = np.bincount(places, clicks, largest) / np.maximum(shown, 1)
    fitted = minimize(
        _negative_log_likelihood,
        np.concatenate([log_odds(np.clip(rate / rate.max(), 0.01, 0.95)), np.zeros(inputs.shape[1])]),
        args=(inputs, places, clicks, largest),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _ITERATIONS},
    )
    theta: Float64 = np.where(rate > 0, expit(fitted.x[:largest]), 0.0)
    return theta / theta[0] if theta[0] > 0 else theta


def _negative_log_likelihood(
    parameters: Float64, inputs: Float64, places: Any, clicks: Float64, largest: int
) -> tuple[float, Float64]:
    """Of the clicks, and its derivative, by the log-odds of theta and the weights of the regression."""
    theta, weights = expit(parameters[:largest]), parameters[largest:]
    liked = expit(inputs @ weights)
    chance = np.clip(theta[places] * liked, 1e-12, 1 - 1e-12)
    value = -np.where(clicks > 0, np.log(chance), np.log1p(-chance)).sum() + 0.5 * _RIDGE * (
        weights @ weights
    )
    slope = -(clicks - chance) / (1 - chance)  # of the value, by the logarithm of the chance
    by_theta = np.bincount(places, slope * (1 - theta[places]), largest)
    return value, np.concatenate([by_theta, inputs.T @ (slope * (1 - liked)) + _RIDGE * weights])


def _checked(positions: Any, dataset: RankingDataset) -> Any:
    if positions is None:
        raise DataError(
            "estimating propensities needs the position at which each document was shown: give a column "
            "`position`"
        )
    places = np.asarray(positions, np.int64)
    if places.min() < 1:
        row = int(places.argmin())
        raise DataError(f"row {row} has position {places[row]}: positions count from 1")
    if places.min() == places.max():
        raise DataError(f"every document was shown at position {places[0]}: there is nothing to compare")
    if not (dataset.labels > 0).any():
        raise DataError("no label is above 0: propensities are estimated from clicks, and there is none")
    return places


def _sample(dataset: RankingDataset) -> Any:
    """Rows of evenly spaced queries, up to the largest sample."""
    step = max(1, int(np.ceil(dataset.document_count / _LARGEST_SAMPLE)))
    queries = np.repeat(np.arange(dataset.query_count), dataset.sizes)
    return np.flatnonzero(queries % step == 0)


def _inputs(dataset: RankingDataset, rows: Any) -> Float64:
    """Each feature's rank among the documents, scaled to [−1, 1], missing in the middle; and a 1.

    Ranks bend with the feature's distribution, which a linear model cannot.
    """
    features = dataset.features[rows]
    columns = []
    for column in features.T:
        values = np.unique(column[~np.isnan(column)])
        if len(values) > 1:
            known = np.sort(column[~np.isnan(column)])
            middle = (np.searchsorted(known, column) + np.searchsorted(known, column, "right")) / 2
            columns.append(np.where(np.isnan(column), 0.0, 2 * middle / len(known) - 1))
    return np.stack([*columns, np.ones(len(rows))], axis=1)
