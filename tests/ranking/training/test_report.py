"""What the page of a run says, before it is drawn."""

from __future__ import annotations

import pytest

from ranking.metrics import Metric
from ranking.metrics.evaluation import evaluate_scores
from ranking.training.page import Report
from ranking.training.report import training_report
from ranking.training.run import fit
from ranking.training.watch import RunWatch
from ranking.trees.ranker import TreeRanker
from tests.ranking.training.runs import lists, quick

METRIC = Metric.parse("ndcg@10")
CONFIG = quick(rounds=3)
DATA, VALID = lists(), lists(seed=1)


@pytest.fixture(scope="module")
def ranker() -> TreeRanker:
    return fit(CONFIG, DATA, VALID)


def report(ranker: TreeRanker, *, held_out: bool) -> Report:
    valid = VALID if held_out else None
    shown = valid or DATA
    watch = RunWatch(CONFIG, METRIC, DATA, valid, None, None, None)
    watch.rounds, watch.history, watch.train_history = 3, [0.5, 0.75, 0.625] if held_out else [], []
    ours = ranker.score(shown.features)
    scores = {"this model": ours, "1 alone": shown.features[:, 0]}
    evaluations = {name: evaluate_scores(s, shown, [METRIC]) for name, s in scores.items()}
    identity = {"train data": "sha256:1", "held-out data": "sha256:2" if held_out else None}
    return training_report(
        CONFIG, ranker, DATA, valid, shown, ours, evaluations, watch.course, identity,
        measured_on="held-out" if held_out else "training",
    )  # fmt: skip


def test_the_page_shows_the_held_out_lists(ranker: TreeRanker) -> None:
    page = report(ranker, held_out=True)
    summary = dict(page.summary)
    assert summary["rounds kept"] == "3 of 3 trained"
    assert summary["held-out data"] == f"40 queries, {VALID.document_count} documents"
    assert [(curve.name, list(curve.rounds)) for curve in page.curves] == [("valid", [1, 2, 3])]
    assert page.best_round == 3  # the mean of 0.75, 0.625 and, beyond the last, 0.625
    assert page.conventions.startswith("Measured on the held-out queries. gain = exponential")
    assert page.fingerprints == [("train data", "sha256:1"), ("held-out data", "sha256:2")]


def test_without_held_out_lists_the_page_says_that_it_shows_the_training_ones(ranker: TreeRanker) -> None:
    page = report(ranker, held_out=False)
    assert "held-out data" not in dict(page.summary)
    assert page.conventions.startswith("Measured on the training queries.")
    assert page.fingerprints == [("train data", "sha256:1")]
    assert list(page.curves) == []


def test_a_baseline_carries_the_model_s_difference_to_it(ranker: TreeRanker) -> None:
    page = report(ranker, held_out=True)
    assert list(page.systems) == ["this model", "1 alone"]
    ours, alone = page.metrics[0].estimates
    assert ours is not None
    assert alone is not None
    assert (ours.difference, ours.p) == (None, None)
    assert alone.difference == pytest.approx(ours.mean - alone.mean)
    assert alone.p is not None
    assert 0 < alone.p <= 1


def test_importance_is_the_share_of_gain_largest_first(ranker: TreeRanker) -> None:
    importance = report(ranker, held_out=True).importance
    shares = [share for _, share in importance]
    assert importance[0][0] == "1"
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)


def test_the_config_is_written_as_set_takes_it(ranker: TreeRanker) -> None:
    config = dict(report(ranker, held_out=True).config)
    assert config["objective.lambdarank.truncation"] == "30"
    assert config["booster.num_leaves"] == "7"
    assert config["rounds"] == "3"


def test_of_few_queries_the_page_says_what_an_interval_means(ranker: TreeRanker) -> None:
    assert (
        "These are 40 queries, which is few: an interval is what" in report(ranker, held_out=True).conventions
    )
