"""Training runs of networks: what they learn, equal runs equal to the byte, kills that lose nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranking.training.watch
from ranking.errors import DataError, UsageError
from ranking.losses import LOSSES
from ranking.metrics import Metric
from ranking.models.loading import load_ranker
from ranking.models.ranker import score_dataset
from ranking.neural.settings import ARCHITECTURES
from ranking.training.checkpoint import folder_for
from ranking.training.config import TrainConfig
from ranking.training.run import TrainResult, fit, train
from tests.ranking.neural.networks import lists
from tests.ranking.training.runs import contents

NDCG = Metric.parse("ndcg@10")
QUICK = ("lambdarank", "softmax", "focal", "approx_ndcg")
"""One loss of each kind; the others run with `-m slow`."""
FEW: dict[str, Any] = {
    "hidden": [16, 8], "heads": 2, "batch_queries": 8, "rate": 0.01, "inputs": "quantile", "teacher": None,
}  # fmt: skip
"""A network by itself: the runs with a teacher, and of several inputs, are tested with them."""


def quick(**changes: Any) -> TrainConfig:
    table = FEW | changes.pop("neural", {})
    plain = {"rounds": 4, "early_stopping": 0, "threads": 1, "checkpoint_seconds": 0}
    return TrainConfig(**(plain | {"backend": "neural", "neural": table} | changes))


def run(out: Path, **changes: Any) -> TrainResult:
    return train(quick(**changes), lists(), lists(seed=1), out)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_folder_scores_like_the_ranker_and_ranks(tmp_path: Path, architecture: str) -> None:
    result = run(tmp_path / "m", rounds=12, neural={"architecture": architecture})
    fresh = lists(seed=2)
    before, after = (
        score_dataset(result.ranker, fresh),
        score_dataset(load_ranker(tmp_path / "m", probe=False), fresh),
    )
    np.testing.assert_array_equal(after, before)
    assert NDCG.mean(before, fresh) > NDCG.mean(fresh.features[:, 1], fresh) + 0.04


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in LOSSES]
)
def test_every_loss_trains(name: str) -> None:
    """Labels follow the features: twelve epochs of any loss rank unseen lists far better than chance."""
    more: dict[str, Any] = {}
    if name == "unbiased_lambdarank":
        more["objective_parameters"] = {"positions": "rows", "propensities": [1 / (1 + i) for i in range(12)]}
    config = quick(objective=name, rounds=12, **more)
    ranker = fit(config, lists(queries=80), None)
    fresh = lists(seed=2, queries=80)
    chance = np.mean(
        [NDCG.mean(np.random.default_rng(s).random(fresh.document_count), fresh) for s in range(5)]
    )
    # MRR asks for one relevant document alone, and nearly all lists have one on top by chance.
    least = 0.005 if name == "approx_mrr" else 0.08
    assert NDCG.mean(score_dataset(ranker, fresh), fresh) > chance + least


def test_equal_runs_write_equal_bytes(tmp_path: Path) -> None:
    run(tmp_path / "a", neural={"architecture": "attention", "dropout": 0.3, "noise": 0.1})
    run(tmp_path / "b", neural={"architecture": "attention", "dropout": 0.3, "noise": 0.1})
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    run(tmp_path / "c", seed=2)
    assert contents(tmp_path / "a")["model.safetensors"] != contents(tmp_path / "c")["model.safetensors"]


def test_rows_too_many_to_keep_are_made_for_each_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "kept", neural={"inputs": "encoded"})
    monkeypatch.setattr("ranking.neural.fitting._KEPT", 0)
    run(tmp_path / "made", neural={"inputs": "encoded"})
    assert contents(tmp_path / "made") == contents(tmp_path / "kept")


@pytest.mark.parametrize("objective", ["lambdarank", "xendcg", "gumbel:approx_ndcg"])
def test_a_run_that_was_killed_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objective: str
) -> None:
    """Killed after the second epoch's checkpoint; dropout, draws and the schedule go on where they were."""
    changes: dict[str, Any] = {"objective": objective, "rounds": 5, "neural": {"dropout": 0.3, "noise": 0.1}}
    run(tmp_path / "whole", **changes)
    kept = ranking.training.watch.RunWatch.__call__

    def killed(self: Any, rounds: int, *more: Any) -> bool:
        kept(self, rounds, *more)
        if rounds == 2:
            raise KeyboardInterrupt
        return False

    monkeypatch.setattr(ranking.training.watch.RunWatch, "__call__", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", **changes)
    monkeypatch.undo()
    assert folder_for(tmp_path / "cut").exists()
    result = train(quick(**changes), lists(), lists(seed=1), tmp_path / "cut", resume=True)
    assert result.notes == ("inputs quantile: resumed after round 2",)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_the_best_epoch_is_kept(tmp_path: Path) -> None:
    """Labels of the held-out lists turned round: every epoch is worse than the one before, or nearly."""
    turned = replace(lists(seed=1), labels=3 - lists(seed=1).labels)
    result = train(quick(rounds=8, early_stopping=3), lists(), turned, tmp_path / "m")
    told = json.loads((tmp_path / "m" / "manifest.json").read_text())
    assert told["rounds"] <= 5
    assert told["rounds_trained"] == told["rounds"] + 3
    assert result.evaluation is not None
    assert len(told["audit"]["epochs"]) == told["rounds_trained"]


def test_the_audit_says_what_happened(tmp_path: Path) -> None:
    run(tmp_path / "m", rounds=6)
    audit = json.loads((tmp_path / "m" / "manifest.json").read_text())["audit"]
    first, last = audit["epochs"][0], audit["epochs"][-1]
    assert first["active_pairs"] > last["active_pairs"] > 0
    assert last["score_spread"] > first["score_spread"] > 0
    assert last["gradient_norm"] > 0
    assert not audit["collapsed"]


def test_a_student_learns_its_teacher(tmp_path: Path) -> None:
    """A network of the trees' scores, and trees of a network's, come near what they learned from."""
    data, valid = lists(queries=120), lists(seed=1)
    trees = train(
        TrainConfig(rounds=30, threads=1, preset="plain", booster={"min_data_in_leaf": 5, "num_leaves": 7}),
        data, valid, tmp_path / "trees",
    ).ranker  # fmt: skip
    network = train(
        quick(rounds=15, objective="margin_mse"), data, valid, tmp_path / "network", teacher=trees
    ).ranker
    fresh = lists(seed=2)
    assert agreement(score_dataset(network, fresh), score_dataset(trees, fresh), fresh) > 0.7
    back = train(
        TrainConfig(
            rounds=40, threads=1, preset="plain", objective="margin_mse",
            booster={"min_data_in_leaf": 5, "num_leaves": 7},
        ),
        data, valid, tmp_path / "back", teacher=network,
    ).ranker  # fmt: skip
    assert agreement(score_dataset(back, fresh), score_dataset(network, fresh), fresh) > 0.7
    told = json.loads((tmp_path / "back" / "manifest.json").read_text())
    assert "ndcg@10" in told["metrics"]["valid"]


def agreement(a: Any, b: Any, data: Any) -> float:
    """The mean correlation of scores within lists of three or more."""
    pairs = zip(data.offsets[:-1], data.offsets[1:], strict=True)
    return float(np.mean([np.corrcoef(a[i:j], b[i:j])[0, 1] for i, j in pairs if j - i > 2]))


def test_a_gpu_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UsageError, match=r"neural.device=cuda: this torch finds no GPU"):
        fit(quick(neural={"device": "cuda"}), lists(), None)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text("def loss(scores, labels, where):\n    return scores.sum(-1) * float('nan')\n")
    with pytest.raises(
        DataError,
        match=r"epoch 1, batch 1 of 5 \(8 lists from query .*the loss is nan; the scores are numbers",
    ):
        fit(quick(objective=str(file)), lists(), None)


def test_weights_of_queries_count() -> None:
    """Half the queries carry turned labels: with weight 0 they are as if they were not there."""
    data = lists(queries=60)
    turned = np.arange(60) % 2 == 0
    rows = np.repeat(turned, data.sizes)
    mixed = replace(data, labels=np.where(rows, 3 - data.labels, data.labels).astype(np.float32))
    weighted = replace(mixed, weights=np.where(turned, 0.0, 1.0).astype(np.float32))
    fresh = lists(seed=2)
    values = [
        NDCG.mean(score_dataset(fit(quick(rounds=10), d, None), fresh), fresh) for d in (mixed, weighted)
    ]
    assert values[1] > values[0] + 0.05


def test_bfloat16_trains_too() -> None:
    ranker = fit(quick(rounds=10, neural={"precision": "bfloat16", "device": "cpu"}), lists(), None)
    fresh = lists(seed=2)
    assert NDCG.mean(score_dataset(ranker, fresh), fresh) > 0.7
