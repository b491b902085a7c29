"""The same numbers as pytrec_eval (trec_eval's own code) and scikit-learn, on lists full of ties."""

from __future__ import annotations

import numpy as np
import pytest

from ranking.data.dataset import RankingDataset
from ranking.metrics import Metric, gain
from tests.ranking.metrics.lists import dataset

TOLERANCE = 1e-9
TREC = {
    "ndcg": "ndcg",
    "ndcg@5": "ndcg_cut_5",
    "ndcg@10": "ndcg_cut_10",
    "map": "map",
    "map@5": "map_cut_5",
    "map@10": "map_cut_10",
    "mrr": "recip_rank",
    "precision@5": "P_5",
    "precision@10": "P_10",
    "recall@5": "recall_5",
    "recall@100": "recall_100",
    "hit_rate@1": "success_1",
    "hit_rate@5": "success_5",
}
"""Ours: theirs."""


@pytest.fixture(scope="module")
def lists() -> tuple[RankingDataset, np.ndarray]:
    """120 lists of 1 to 60 documents with scores in quarters (exact in float32, which trec_eval keeps)."""
    rng = np.random.default_rng(7)
    sizes = rng.integers(1, 61, 120)
    labels = [rng.choice(5, size, p=[0.6, 0.2, 0.1, 0.05, 0.05]).tolist() for size in sizes]
    ids = [f"doc-{rng.integers(10**6)}-{i}" for i in range(sizes.sum())]
    scores = rng.integers(-6, 7, sizes.sum()) / 4
    return dataset(*labels, document_ids=ids), scores.astype(np.float32)


@pytest.mark.parametrize("name", TREC)
def test_trec_ties_equal_trec_eval(name: str, lists: tuple[RankingDataset, np.ndarray]) -> None:
    """With linear gain, query by query; one without relevant documents counts 0 there too."""
    pytrec_eval = pytest.importorskip("pytrec_eval")
    data, scores = lists
    qrels: dict[str, dict[str, int]] = {}
    run: dict[str, dict[str, float]] = {}
    for row, document in enumerate(data.document_ids or ()):
        qrels.setdefault(data.query_of(row), {})[document] = int(data.labels[row])
        run.setdefault(data.query_of(row), {})[document] = float(scores[row])
    measured = pytrec_eval.RelevanceEvaluator(qrels, {TREC[name]}).evaluate(run)
    expected = [measured[query][TREC[name]] for query in data.query_ids]
    values = Metric.parse(TREC[name], gain="linear", ties="trec").per_query(scores, data)
    assert np.ptp(values) > 0
    np.testing.assert_allclose(values, expected, rtol=0, atol=TOLERANCE)
    assert str(Metric.parse(TREC[name])) == name


@pytest.mark.parametrize("k", [1, 5, 10, None])
@pytest.mark.parametrize("name", ["ndcg", "dcg"])
@pytest.mark.parametrize("gains", ["linear", "exponential"])
def test_average_ties_equal_scikit_learn(
    name: str, gains: str, k: int | None, lists: tuple[RankingDataset, np.ndarray]
) -> None:
    """Which takes gains for labels, and refuses lists of one document."""
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    theirs = {"ndcg": sklearn_metrics.ndcg_score, "dcg": sklearn_metrics.dcg_score}[name]
    data, scores = lists
    values = Metric(name, k, gain=gains).per_query(scores, data)
    worth = gain(data.labels, gains)
    compared = 0
    for query, (low, high) in enumerate(zip(data.offsets, data.offsets[1:], strict=False)):
        if high - low > 1:
            expected = theirs(worth[None, low:high], scores[None, low:high], k=k)
            assert values[query] == pytest.approx(expected, abs=TOLERANCE)
            compared += 1
    assert compared > 100
