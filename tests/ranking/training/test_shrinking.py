"""A model folder cut to fewer trees: which, what it says of itself, and that it passes every check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ranking.errors import ArtifactError, UsageError
from ranking.metrics import Metric
from ranking.models.folder import golden_rows, read_manifest, save_artifact
from ranking.models.loading import load_ranker
from ranking.models.verifying import verify
from ranking.training.crossfit import CrossFit, cross_fit
from ranking.training.run import train
from ranking.training.shrinking import shrink
from ranking.training.watch import Stop
from ranking.trees.backends import BACKENDS
from ranking.trees.merging import merged
from ranking.trees.ranker import TreeRanker
from tests.ranking.neural import networks
from tests.ranking.training.runs import ROUNDS, contents, lists, quick

NDCG = Metric.parse("ndcg@10")
both = pytest.mark.parametrize("backend", BACKENDS)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model folder by backend; not to be changed."""
    place = tmp_path_factory.mktemp("trained")
    return {backend: train(quick(backend), lists(), None, place / backend).folder for backend in BACKENDS}


def merged_folder(out: Path, ranker: TreeRanker, trees: tuple[int, ...], **facts: Any) -> Path:
    """A folder of the ranker's first trees, as often as there are numbers of them."""
    whole = merged([ranker] * len(trees), [0.5 + i for i in range(len(trees))], trees)
    told = {"members": [{"trees": n, "name": f"m{n}"} for n in trees], "rounds": sum(trees)} | facts
    return save_artifact(out, whole, facts=told, golden=golden_rows(lists().features, 0))


@both
def test_so_many_trees_are_kept_and_the_folder_passes_every_check(
    trained: dict[str, Path], backend: str, tmp_path: Path
) -> None:
    result = shrink(trained[backend], lists(seed=1), NDCG, tmp_path / "small", trees=5)
    assert all(check.ok for check in verify(tmp_path / "small"))
    opened = load_ranker(tmp_path / "small")
    assert isinstance(opened, TreeRanker)
    assert opened.evaluator.forest.tree_count == 5
    assert (result.trees, result.members) == ((ROUNDS, 5), ((ROUNDS, 5),))
    assert (
        result.size[1] == (tmp_path / "small" / BACKENDS[backend].model_file).stat().st_size < result.size[0]
    )
    assert result.speedup > 0


@both
def test_the_manifest_says_what_it_was_cut_from(
    trained: dict[str, Path], backend: str, tmp_path: Path
) -> None:
    result = shrink(trained[backend], lists(seed=1), NDCG, tmp_path / "small", trees=5)
    was, now = read_manifest(trained[backend]), read_manifest(tmp_path / "small")
    assert now.facts["shrunk_from"] == {
        "sha256": was.digest,
        "trees": {"before": ROUNDS, "after": 5},
        "metrics": was.facts["metrics"],
        "lists": lists(seed=1).fingerprint(),
        "ndcg@10": {"before": result.values[0], "after": result.values[1]},
    }
    assert now.facts["rounds"] == 5
    assert now.facts["metrics"] == {"cut": {"ndcg@10": result.values[1]}}
    same = ("config", "objective", "conventions", "feature_profile", "query_digests", "data")
    assert {key: now.facts[key] for key in same} == {key: was.facts[key] for key in same}
    assert (now.feature_names, now.missing) == (was.feature_names, was.missing)
    assert set(now.files) == {BACKENDS[backend].model_file, "golden.npz"}


def test_values_are_measured_before_and_after(trained: dict[str, Path], tmp_path: Path) -> None:
    data = lists(seed=1)
    result = shrink(trained["lightgbm"], data, NDCG, tmp_path / "small", trees=3)
    expected = [
        NDCG.mean(load_ranker(folder).score(data.features), data)
        for folder in (trained["lightgbm"], tmp_path / "small")
    ]
    assert result.values == tuple(expected)
    assert [trees for trees, _ in result.curve] == list(range(1, ROUNDS + 1))
    assert dict(result.curve)[3] == result.values[1]
    assert dict(result.curve)[ROUNDS] == result.values[0]


@both
def test_a_loss_keeps_the_fewest_trees_within_it(
    trained: dict[str, Path], backend: str, tmp_path: Path
) -> None:
    data = lists(seed=1)
    result = shrink(trained[backend], data, NDCG, tmp_path / "small", loss=0.01)
    values = dict(result.curve)
    kept = result.trees[1]
    assert 1 <= kept < ROUNDS
    assert all(values[trees] >= result.values[0] - 0.01 for trees in range(kept, ROUNDS + 1))
    assert kept == 1 or values[kept - 1] < result.values[0] - 0.01
    facts = read_manifest(tmp_path / "small").facts
    assert facts["shrunk_from"]["loss"] == 0.01
    assert facts["data"]["cut"] == data.fingerprint()
    again = shrink(tmp_path / "small", data, NDCG, tmp_path / "smaller", trees=1)
    assert any("number of trees was chosen on 40 of these 40" in warning for warning in again.warnings)


def test_members_of_a_merged_model_are_cut_together(trained: dict[str, Path], tmp_path: Path) -> None:
    one = load_ranker(trained["xgboost"])
    assert isinstance(one, TreeRanker)
    folder = merged_folder(tmp_path / "whole", one, (4, 8))
    result = shrink(folder, lists(seed=1), NDCG, tmp_path / "small", trees=6)
    assert result.members == ((4, 2), (8, 4))
    expected = merged([one, one], [0.5, 1.5], [2, 4])
    assert result.ranker.model == expected.model
    told = read_manifest(tmp_path / "small").facts["members"]
    assert told == [{"trees": 2, "name": "m4"}, {"trees": 4, "name": "m8"}]
    # What is left can be cut again, down to a member that has nothing left.
    again = shrink(tmp_path / "small", lists(seed=1), NDCG, tmp_path / "one", trees=1)
    assert again.members == ((2, 0), (4, 1))
    assert shrink(tmp_path / "one", lists(seed=1), NDCG, tmp_path / "same", trees=1).trees == (1, 1)


def test_equal_cuts_are_equal_folders(trained: dict[str, Path], tmp_path: Path) -> None:
    for name in ("a", "b"):
        shrink(trained["lightgbm"], lists(seed=1), NDCG, tmp_path / name, loss=0.01)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_lists_of_the_training_are_told(trained: dict[str, Path], tmp_path: Path) -> None:
    seen = shrink(trained["lightgbm"], lists(), NDCG, tmp_path / "a", trees=2)
    assert any("trained on" in warning for warning in seen.warnings)
    assert "warnings" in seen.as_json()
    assert shrink(trained["lightgbm"], lists(seed=1), NDCG, tmp_path / "b", trees=2).warnings == ()


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({}, "either by the number of trees, or by the loss"),
        ({"trees": 3, "loss": 0.1}, "either by the number of trees, or by the loss"),
        ({"loss": -0.1}, "from 0 to below 1, got -0.1"),
        ({"loss": float("nan")}, "from 0 to below 1, got nan"),
        ({"trees": 0}, "1 to 12 can be kept, got 0"),
        ({"trees": 13}, "1 to 12 can be kept, got 13"),
    ],
    ids=["neither", "both", "negative", "nan", "none", "too many"],
)
def test_a_cut_that_makes_no_sense_is_refused(
    trained: dict[str, Path], asked: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=reason):
        shrink(trained["lightgbm"], lists(seed=1), NDCG, tmp_path / "small", **asked)
    assert not (tmp_path / "small").exists()


def test_what_is_no_forest_is_refused(tmp_path: Path) -> None:
    network = networks.ranker_of("attention")
    save_artifact(tmp_path / "n", network, facts={}, golden=np.zeros((2, network.feature_count), np.float32))
    with pytest.raises(UsageError, match="only models of trees"):
        shrink(tmp_path / "n", lists(seed=1), NDCG, tmp_path / "small", trees=1)


def test_a_manifest_whose_members_are_not_the_model_s_is_refused(
    trained: dict[str, Path], tmp_path: Path
) -> None:
    one = load_ranker(trained["lightgbm"])
    assert isinstance(one, TreeRanker)
    folder = merged_folder(tmp_path / "m", one, (2, 3), members=[{"trees": 2}, {"trees": 2}])
    with pytest.raises(ArtifactError, match=r"names members of \(2, 2\) trees, and the model has 5"):
        shrink(folder, lists(seed=1), NDCG, tmp_path / "small", trees=1)


def test_its_json_is_plain(trained: dict[str, Path], tmp_path: Path) -> None:
    result = shrink(trained["xgboost"], lists(seed=1), NDCG, tmp_path / "small", trees=5)
    told = json.loads(json.dumps(result.as_json()))
    assert told["trees"] == {"before": ROUNDS, "after": 5}
    assert told["curve"][-1] == {"trees": ROUNDS, "ndcg@10": told["metrics"]["before"]["ndcg@10"]}


@both
def test_members_are_measured_out_of_fold_on_what_they_were_trained_on(backend: str, tmp_path: Path) -> None:
    """All trees give the value of the training; on other lists the whole is measured."""
    config = quick(backend, preset="best", rounds=8, threads=2)
    trained = train(config, lists(), None, tmp_path / "model")
    assert trained.evaluation is not None
    result = shrink(tmp_path / "model", lists(), NDCG, tmp_path / "small", trees=12)
    assert (result.out_of_fold, result.warnings) == (True, ())
    assert result.values[0] == pytest.approx(trained.evaluation.means["ndcg@10"], abs=1e-9)
    assert [kept for _, kept in result.members] == [3, 3, 3, 3]
    members = cross_fit(config, lists(), stop=Stop()).members
    cut = CrossFit(lists(), [member.cut(3, lists()) for member in members])
    assert result.values[1] == pytest.approx(NDCG.mean(cut.out_of_fold, lists()), abs=1e-9)
    told = read_manifest(tmp_path / "small").facts
    assert told["metrics"] == {"cut": {"ndcg@10": result.values[1]}, "out_of_fold": True}
    assert [member["trees"] for member in told["members"]] == [3, 3, 3, 3]
    elsewhere = shrink(tmp_path / "model", lists(seed=1), NDCG, tmp_path / "other", trees=12)
    assert not elsewhere.out_of_fold
    assert "out_of_fold" not in elsewhere.as_json()["metrics"]
