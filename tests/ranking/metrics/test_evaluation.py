"""Evaluation of scores: means, intervals, the best single feature, and rankers on data of another width."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from ranking.data.dataset import RankingDataset
from ranking.errors import DataError
from ranking.metrics import Metric
from ranking.metrics.evaluation import (
    DEFAULT_METRICS,
    FeatureBaseline,
    best_feature,
    compare_evaluations,
    comparison_json,
    default_metrics,
    evaluate_scores,
    left_out,
)
from ranking.models.ranker import score_dataset
from ranking.training.run import fit
from ranking.trees.ranker import TreeRanker
from tests.ranking.training.runs import lists, quick

NAMES = ("ndcg@10", "map")
METRICS = [Metric.parse(name) for name in NAMES]


@cache
def ranker(missing: str = "zero") -> TreeRanker:
    return fit(quick(missing=missing), lists(), None)


def first_feature(data: RankingDataset) -> np.ndarray:
    return data.features[:, 0]


def test_an_evaluation_holds_values_means_and_intervals() -> None:
    data = lists()
    found = evaluate_scores(first_feature(data), data, METRICS, seed=3)
    assert (found.queries, found.documents) == (data.query_count, data.document_count)
    assert tuple(found.means) == tuple(found.intervals) == tuple(found.per_query) == NAMES
    for name in NAMES:
        assert found.means[name] == pytest.approx(found.per_query[name].mean())
        low, high = found.intervals[name]
        assert low < found.means[name] < high
    assert found.intervals == evaluate_scores(first_feature(data), data, METRICS, seed=3).intervals
    assert found.intervals != evaluate_scores(first_feature(data), data, METRICS, seed=4).intervals


def test_conventions_are_said_once_for_all_metrics() -> None:
    data = lists()
    stated = evaluate_scores(first_feature(data), data, METRICS).as_json()["conventions"]
    assert stated == {
        "gain": "exponential",
        "discount": "log2",
        "relevant": "label > 0",
        "empty": "zero",
        "ties": "average",
        "mean": "over queries, by query weight where given",
    }


def test_query_weights_weigh_the_mean_and_its_interval() -> None:
    """All the weight on one query leaves its value, and no doubt about it."""
    data = lists()
    weights = np.zeros(data.query_count, np.float32)
    weights[2] = 1
    found = evaluate_scores(first_feature(data), replace(data, weights=weights), METRICS)
    value = float(found.per_query["map"][2])
    assert found.means["map"] == pytest.approx(value)
    assert found.intervals["map"] == (pytest.approx(value), pytest.approx(value))


def test_a_comparison_is_ours_minus_the_other() -> None:
    data = lists()
    ours = evaluate_scores(first_feature(data), data, METRICS)
    other = evaluate_scores(-first_feature(data), data, METRICS)
    compared = comparison_json(compare_evaluations(ours, other, None))
    assert tuple(compared) == NAMES
    for name in NAMES:
        assert compared[name]["difference"] == pytest.approx(ours.means[name] - other.means[name])
        assert compared[name]["difference"] > 0
        assert compared[name]["p_holm"] < 0.05


# --- The best single feature ------------------------------------------------------------------------


@pytest.mark.parametrize("descending", [True, False])
def test_the_best_feature_is_found_with_its_direction(descending: bool) -> None:
    data = lists()
    features = np.random.default_rng(0).normal(size=data.features.shape).astype(np.float32)
    features[:, 2] = data.labels if descending else -data.labels
    found = best_feature(replace(data, features=features), METRICS[0])
    assert found == FeatureBaseline(2, descending)


def test_a_missing_value_ranks_below_every_other() -> None:
    features = np.array([[np.nan], [-1e30], [5]], np.float32)
    for descending in (True, False):
        scores = FeatureBaseline(0, descending).score(features)
        assert scores.argmin() == 0
        assert np.isfinite(scores).all()


def test_the_best_feature_of_many_queries_is_chosen_on_a_seeded_share() -> None:
    data = lists(queries=1200)
    assert best_feature(data, METRICS[0], seed=1) == best_feature(data, METRICS[0], seed=2)
    assert best_feature(data, METRICS[0]).feature == 0


# --- Rankers on other data --------------------------------------------------------------------------


@pytest.mark.parametrize(("missing", "fill"), [("zero", 0.0), ("nan", np.nan)])
def test_narrower_data_lacks_its_last_features_by_the_missing_policy(missing: str, fill: float) -> None:
    data = lists(seed=2)
    filled = data.features.copy()
    filled[:, 3] = fill
    narrow = replace(data, features=data.features[:, :3])
    np.testing.assert_array_equal(
        score_dataset(ranker(missing), narrow), score_dataset(ranker(missing), replace(data, features=filled))
    )


def test_wider_data_is_refused() -> None:
    wide = replace(lists(), features=np.tile(lists().features, 2))
    with pytest.raises(DataError, match="the data has 8 features, the model was trained on 4"):
        score_dataset(ranker(), wide)


def test_columns_in_another_order_than_the_model_s_are_refused() -> None:
    """They would give scores without any sign that these are nonsense."""
    named = fit(quick(), replace(lists(), feature_names=["bm25", "age", "clicks", "length"]), None)
    assert score_dataset(named, lists()).shape == (lists().document_count,)
    swapped = replace(lists(), feature_names=["age", "bm25", "clicks", "length"])
    with pytest.raises(DataError, match="feature 1 of the data is 'age' where 'bm25' is expected"):
        score_dataset(named, swapped)


def test_err_is_no_default_where_labels_pass_it() -> None:
    small, large = lists(), replace(lists(), labels=lists().labels * 20)
    assert default_metrics(small) == DEFAULT_METRICS
    assert default_metrics(small, large) == ("ndcg@10", "ndcg@5", "map", "mrr@10", "precision@5")
    assert left_out(default_metrics(large)) == ["err@10 is left out: it takes labels up to 31"]
    assert left_out(DEFAULT_METRICS) == []
