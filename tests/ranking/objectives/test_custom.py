"""A user's own objective: formula, weight, both; what a wrong file is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ranking.errors import UsageError
from ranking.objectives import LambdaRank, RankNet, objective_named
from tests.lists import random_lists

RANKNET = """
import math

def loss(d):
    return max(-d, 0.0) + math.log1p(math.exp(-abs(d)))

def gradient(d):
    return -1.0 / (1.0 + math.exp(d))

def hessian(d):
    p = 1.0 / (1.0 + math.exp(d))
    return p * (1.0 - p)
"""

NDCG_WEIGHT = """
import math

def weight(better_gain, worse_gain, better_rank, worse_rank, ideal):
    change = 1 / math.log2(1 + better_rank) - 1 / math.log2(1 + worse_rank)
    return (better_gain - worse_gain) * abs(change) / ideal
"""


@pytest.fixture
def scored() -> tuple[object, object]:
    dataset = random_lists(queries=6, longest=10, seed=4)
    return dataset, np.random.default_rng(1).normal(size=dataset.document_count)


def written(folder: Path, text: str) -> str:
    (folder / "mine.py").write_text(text)
    return str(folder / "mine.py")


def test_a_formula_from_a_file_is_the_same_loss(ranknet: str, scored: Any) -> None:
    dataset, scores = scored
    own = objective_named(ranknet, {"truncation": 5, "label_gap": 1.0})
    ours = RankNet(truncation=5, label_gap=1.0)
    for mine, reference in zip(own.gradients(scores, dataset), ours.gradients(scores, dataset), strict=True):
        assert mine == pytest.approx(reference, abs=1e-12)
    assert own.loss(scores, dataset) == pytest.approx(ours.loss(scores, dataset))


def test_a_weight_from_a_file_makes_lambdarank(ndcg_weight: str, scored: Any) -> None:
    dataset, scores = scored
    normalised = {"score_normalization": True, "lambda_normalization": True, "truncation": 30}
    own = objective_named(ndcg_weight, normalised)
    for mine, reference in zip(
        own.gradients(scores, dataset), LambdaRank().gradients(scores, dataset), strict=True
    ):
        assert mine == pytest.approx(reference, abs=1e-12)


@pytest.fixture(scope="module")
def ranknet(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One file for several tests: its loop is compiled once."""
    return written(tmp_path_factory.mktemp("own"), RANKNET)


@pytest.fixture(scope="module")
def ndcg_weight(tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(tmp_path_factory.mktemp("own"), NDCG_WEIGHT)


@pytest.mark.parametrize(
    "parameters",
    [
        {"metric": "ndcg"},
        {"metric": "map", "truncation": 4, "ties": "file"},
        {"metric": "err", "score_normalization": True, "lambda_normalization": True},
        {"metric": "precision", "truncation": 3, "label_gap": 1.0},
        {"weight": "ndcg_loss2pp", "truncation": 5},
        {"metric": "mrr", "positions": "rows", "propensities": [1.0, 0.5, 0.3, *[0.2] * 8]},
    ],
    ids=str,
)
@pytest.mark.parametrize("ties", [False, True], ids=["distinct scores", "tied scores"])
def test_a_pair_loss_of_ones_own_takes_every_weight(
    ranknet: str, scored: Any, parameters: dict[str, Any], ties: bool
) -> None:
    """RankNet's from a file, with each weight, is RankNet with that weight."""
    dataset, scores = scored
    scores = np.round(scores * 2) / 2 if ties else scores
    own = objective_named(ranknet, parameters)
    ours = objective_named("ranknet", parameters)
    for mine, reference in zip(own.gradients(scores, dataset), ours.gradients(scores, dataset), strict=True):
        assert mine == pytest.approx(reference, abs=1e-12)
    assert own.loss(scores, dataset) == pytest.approx(ours.loss(scores, dataset))


@pytest.mark.parametrize("pair_loss", ["hinge", "squared_hinge", "logistic"])
def test_a_weight_of_ones_own_takes_every_pair_loss(ndcg_weight: str, scored: Any, pair_loss: str) -> None:
    """|ΔNDCG| from a file, with each pair loss, is that pair loss by NDCG."""
    dataset, scores = scored
    own = objective_named(ndcg_weight, {"pair_loss": pair_loss, "truncation": 30})
    ours = objective_named("lambdarank", {
        "pair_loss": pair_loss, "score_normalization": False, "lambda_normalization": False,
    })  # fmt: skip
    for mine, reference in zip(own.gradients(scores, dataset), ours.gradients(scores, dataset), strict=True):
        assert mine == pytest.approx(reference, abs=1e-12)


def test_without_a_hessian_the_slope_stands_in(tmp_path: Path, scored: Any) -> None:
    dataset, scores = scored
    own = objective_named(written(tmp_path, RANKNET.partition("def hessian")[0]))
    gradient, hessian = own.gradients(scores, dataset)
    assert (np.abs(gradient) <= hessian + 1e-12).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def loss(d):\n    return d\n", "must define both"),
        ("x = 1\n", "defines neither"),
        ("import nowhere_at_all\n", "does not run: ModuleNotFoundError"),
        ("def weight(a):\n    return a\n", "weight cannot be compiled"),
    ],
)
def test_wrong_files_are_explained(tmp_path: Path, scored: Any, text: str, message: str) -> None:
    dataset, scores = scored
    with pytest.raises(UsageError, match=message):
        objective_named(written(tmp_path, text)).gradients(scores, dataset)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*none\.py: No such file"):
        objective_named(str(tmp_path / "none.py"))


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    """A run that resumes names the hash it began with."""
    name = written(tmp_path, RANKNET)
    began = objective_named(name)
    written(tmp_path, RANKNET + "\n# changed\n")
    with pytest.raises(UsageError, match="has changed"):
        objective_named(name, {"sha256": began.parameters()["sha256"]})
