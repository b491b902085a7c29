"""TreeSHAP: the definition by hand, LightGBM's to 1e-9, XGBoost's as far as float32 goes."""

from __future__ import annotations

from itertools import combinations
from math import factorial
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost

from ranking.trees.forest import Forest
from ranking.trees.reading import read_forest
from ranking.trees.scoring import ForestEvaluator
from ranking.trees.scoring.contributions import LANES, quadrature
from tests.ranking.models.small import NAMES, lightgbm_model, rows, xgboost_model
from tests.ranking.trees.reading.written_lightgbm import WRITTEN as LIGHTGBM
from tests.ranking.trees.reading.written_xgboost import WRITTEN as XGBOOST
from tests.ranking.trees.scoring.ensembles import (
    FEATURES,
    SEVERAL_OUTPUTS,
    lightgbm_text,
    special_rows,
    xgboost_booster,
    xgboost_objectives,
    xgboost_of,
)


def expected_given(forest: Forest, known: tuple[int, ...], row: Any, tree: int) -> float:
    """Mean of a tree where only some features of the row are known: the others follow the training rows."""
    start, leaves = forest.first_split[tree], forest.first_leaf[tree]

    def below(child: int) -> float:
        if child < 0:
            return float(forest.value[leaves - child - 1])
        split = start + child
        left, right = int(forest.left[split]), int(forest.right[split])
        if int(forest.feature[split]) in known:
            return below(left if row[forest.feature[split]] <= forest.threshold[split] else right)
        covers = [
            forest.split_cover[start + c] if c >= 0 else forest.leaf_cover[leaves - c - 1]
            for c in (left, right)
        ]
        return float((covers[0] * below(left) + covers[1] * below(right)) / sum(covers))

    return below(0 if forest.first_split[tree + 1] > start else -1)


def test_they_are_the_shapley_values_of_the_definition() -> None:
    """Every subset of five features, worked out one by one."""
    draw = np.random.default_rng(2)
    features = draw.normal(size=(300, 5)).astype(np.float32)
    labels = features[:, 0] * features[:, 1] + np.abs(features[:, 2]) + features[:, 3]
    parameters = {"verbose": -1, "num_leaves": 12, "min_data_in_leaf": 5, "num_threads": 1}
    text = lightgbm.train(parameters, lightgbm.Dataset(features, labels), 3).model_to_string().encode()
    evaluator = ForestEvaluator.of(read_forest("lightgbm", text, 5))
    found = evaluator.contributions(features[:4])
    trees = range(evaluator.forest.tree_count)
    for row, parts in zip(features[:4], found, strict=True):
        worth = {
            known: sum(expected_given(evaluator.forest, known, row, tree) for tree in trees)
            for size in range(6)
            for known in combinations(range(5), size)
        }
        for feature in range(5):
            value = 0.0
            for known in worth:
                if feature not in known:
                    more = tuple(sorted((*known, feature)))
                    share = factorial(len(known)) * factorial(4 - len(known)) / factorial(5)
                    value += share * (worth[more] - worth[known])
            assert parts[feature] == pytest.approx(value, abs=1e-12)
        assert parts[5] == pytest.approx(worth[()], abs=1e-12)


@pytest.mark.parametrize("name", LIGHTGBM)
def test_they_are_lightgbm_s(name: str) -> None:
    text = lightgbm_model(**LIGHTGBM[name])
    evaluator = ForestEvaluator.of(read_forest("lightgbm", text, len(NAMES)))
    booster = lightgbm.Booster(model_str=text.decode())
    expected = np.asarray(booster.predict(rows(), pred_contrib=True, num_threads=1))
    if evaluator.forest.average:
        # LightGBM sums contributions where it averages scores.
        expected = expected / evaluator.forest.tree_count
    np.testing.assert_allclose(evaluator.contributions(rows()), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", XGBOOST)
def test_they_are_xgboost_s_as_far_as_float32_goes(name: str) -> None:
    model = xgboost_model(**XGBOOST[name])
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(model))
    evaluator = ForestEvaluator.of(read_forest("xgboost", model, len(NAMES)))
    expected = booster.predict(xgboost.DMatrix(rows(), nthread=1), pred_contribs=True)
    np.testing.assert_allclose(evaluator.contributions(rows()), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("objective", [o for o in xgboost_objectives() if o not in SEVERAL_OUTPUTS])
def test_they_are_xgboost_s_for_every_objective(objective: str) -> None:
    """The last column holds the base score through the objective's link."""
    booster = xgboost_of(objective, rows())
    evaluator = ForestEvaluator.of(read_forest("xgboost", bytes(booster.save_raw("ubj")), len(NAMES)))
    expected = booster.predict(xgboost.DMatrix(rows(), nthread=1), pred_contribs=True)
    np.testing.assert_allclose(evaluator.contributions(rows()), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(20))
def test_random_ensembles_and_special_rows_too(seed: int) -> None:
    """Paths that ask for a feature many times, and for categories."""
    text = lightgbm_text(seed, trees=8, most_leaves=60)
    evaluator = ForestEvaluator.of(read_forest("lightgbm", text, FEATURES))
    features = special_rows(np.random.default_rng(seed), LANES + 5, evaluator.forest.threshold)
    expected = lightgbm.Booster(model_str=text.decode()).predict(features, pred_contrib=True, num_threads=1)
    found = evaluator.contributions(features)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.sum(axis=1), evaluator.score(features), rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_they_sum_to_xgboost_s_scores(seed: int) -> None:
    booster = xgboost_booster(seed)
    evaluator = ForestEvaluator.of(read_forest("xgboost", bytes(booster.save_raw("ubj")), FEATURES))
    features = special_rows(np.random.default_rng(seed), 40, evaluator.forest.threshold)
    total = evaluator.contributions(features).sum(axis=1)
    np.testing.assert_allclose(total, evaluator.score(features), rtol=1e-5, atol=1e-5)


def test_no_rows_are_no_contributions() -> None:
    evaluator = ForestEvaluator.of(read_forest("lightgbm", lightgbm_text(0), FEATURES))
    assert evaluator.contributions(np.empty((0, FEATURES), np.float32)).shape == (0, FEATURES + 1)


def test_quadrature_integrates_polynomials_exactly() -> None:
    """m nodes up to degree 2 m - 1: the integral of t^d over [0, 1] is 1 / (d + 1)."""
    nodes, weights = quadrature(12)
    for m in range(1, 13):
        for degree in range(2 * m):
            assert (weights[m] * nodes[m] ** degree).sum() == pytest.approx(1 / (degree + 1), rel=1e-12)
