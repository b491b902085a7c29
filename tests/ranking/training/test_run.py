"""Training runs: what is written, that equal runs are equal to the byte, and that kills lose nothing."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranking.training.run
from ranking.data.dataset import RankingDataset
from ranking.errors import ArtifactError, DataError, UsageError
from ranking.metrics import Metric
from ranking.models.folder import read_artifact
from ranking.models.loading import load_ranker
from ranking.models.ranker import Ranker
from ranking.objectives import Blend
from ranking.training.checkpoint import folder_for, read_checkpoint
from ranking.training.config import TrainConfig
from ranking.training.run import TrainResult, fit, train
from ranking.training.watch import smoothed
from ranking.trees.backends import BACKENDS
from ranking.trees.boosting import Job
from ranking.trees.ranker import TreeRanker
from ranking.trees.scoring import ForestEvaluator
from tests.lists import one_list
from tests.ranking.training.runs import ROUNDS, contents, flags, from_file, letor, lists, quick, stopped_at


def opened(folder: Path) -> Ranker:
    """Without the child process, which takes a second and has tests of its own."""
    return load_ranker(folder, probe=False)


def facts(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found


# --- What a run writes ------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_folder_scores_like_the_ranker_that_was_trained(tmp_path: Path, backend: str) -> None:
    result = train(quick(backend), lists(), lists(seed=1), tmp_path / "model")
    fresh = lists(seed=2).features
    np.testing.assert_array_equal(opened(tmp_path / "model").score(fresh), result.ranker.score(fresh))
    assert len(np.unique(result.ranker.score(fresh))) > 5


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_model_ranks_better_than_its_best_feature(tmp_path: Path, backend: str) -> None:
    """On lists it has not seen; otherwise everything below would be true of noise as well."""
    result = train(quick(backend, rounds=30), lists(), lists(seed=1), tmp_path / "model")
    assert result.evaluation is not None
    ndcg = Metric.parse("ndcg@10")
    alone = max(
        ndcg.mean(sign * lists(seed=1).features[:, i], lists(seed=1)) for i in range(4) for sign in (1, -1)
    )
    assert result.evaluation.means["ndcg@10"] == ndcg.mean(
        result.ranker.score(lists(seed=1).features), lists(seed=1)
    )
    assert result.evaluation.means["ndcg@10"] > alone


def test_the_manifest_says_how_the_model_was_made(tmp_path: Path) -> None:
    data, valid = lists(), lists(seed=1)
    result = train(quick(seed=7), data, valid, tmp_path / "model")
    found = facts(tmp_path / "model")
    assert found["kind"] == "lightgbm"
    assert found["objective"]["name"] == "blend"
    assert found["objective"]["lambdarank"]["truncation"] == 30
    assert found["objective"]["scales"] == list(Blend().fitted(data).scales or ())
    assert found["config"]["booster"] == {"min_data_in_leaf": 5, "num_leaves": 7}
    assert found["seed"] == 7
    assert (found["rounds"], found["rounds_trained"], found["interrupted"]) == (ROUNDS, ROUNDS, False)
    assert found["data"] == {"train": data.fingerprint(), "valid": valid.fingerprint()}
    assert result.evaluation is not None
    assert found["metrics"]["valid"] == dict(result.evaluation.means)
    assert found["conventions"]["ties"] == "average"
    assert found["baseline"]["feature"] == 0
    assert found["feature_ranges"][1] == [data.features[:, 1].min(), data.features[:, 1].max()]
    report = (tmp_path / "model" / "report.html").read_text()
    assert "lambdarank" in report


def test_golden_rows_are_training_rows_with_and_without_gaps(tmp_path: Path) -> None:
    data = lists()
    result = train(quick(), data, None, tmp_path / "model")
    golden = read_artifact(tmp_path / "model").golden
    assert golden.features.shape == (33, 4)
    known = {row.tobytes() for row in data.features}
    assert all(row.tobytes() in known for row in golden.features[:16])
    assert np.isnan(golden.features[16:]).any(axis=0).all()
    np.testing.assert_array_equal(golden.scores, result.ranker.score(golden.features))


def test_a_feature_without_any_value_has_no_range(tmp_path: Path) -> None:
    data = lists()
    features = data.features.copy()
    features[:, 2] = np.nan
    train(quick(missing="nan"), replace(data, features=features), None, tmp_path / "model")
    assert facts(tmp_path / "model")["feature_ranges"][2] is None


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_equal_runs_write_the_same_bytes(tmp_path: Path, backend: str) -> None:
    """Every file, the report too."""
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        train(quick(backend, threads=2), lists(), None, folder)
    first, second = map(contents, folders)
    assert first == second
    assert sorted(first) == sorted(
        [BACKENDS[backend].model_file, "golden.npz", "manifest.json", "report.html"]
    )


def test_a_sampled_run_draws_by_the_seed(tmp_path: Path) -> None:
    bagging = {"bagging_fraction": 0.5, "bagging_freq": 1}
    models = [fit(quick(seed=seed, booster=bagging), lists(), None).model for seed in (1, 1, 2)]
    assert models[0] == models[1]
    assert models[0] != models[2]


# --- Held-out lists and early stopping --------------------------------------------------------------


def test_without_a_valid_file_a_share_of_the_queries_is_held_out(tmp_path: Path) -> None:
    result = train(quick(valid_fraction=0.25), lists(), None, tmp_path / "model")
    assert result.evaluation is not None
    assert result.evaluation.queries == 10
    assert result.notes == ("held out 10 of 40 queries (no --valid file)",)
    rest, held = lists().hold_out(0.25, seed=1)
    assert facts(tmp_path / "model")["data"] == {"train": rest.fingerprint(), "valid": held.fingerprint()}


def test_no_share_held_out_trains_on_all_and_measures_nothing(tmp_path: Path) -> None:
    result = train(quick(valid_fraction=0, early_stopping=1), lists(), None, tmp_path / "model")
    assert (result.evaluation, result.rounds) == (None, ROUNDS)
    assert result.as_json()["metrics"] == {"valid": {}}
    assert result.notes == ("no held-out queries: trains all rounds, measures nothing",)
    assert facts(tmp_path / "model")["data"] == {"train": lists().fingerprint(), "valid": None}


@pytest.mark.parametrize("backend", BACKENDS)
def test_early_stopping_ends_the_run_and_keeps_the_best_round(tmp_path: Path, backend: str) -> None:
    config = quick(backend, rounds=200, early_stopping=5)
    seen: list[float] = []
    result = train(
        config,
        lists(),
        lists(seed=1),
        tmp_path / "model",
        progress=lambda done, of, value, left: seen.append(value or 0.0),
    )
    assert len(seen) == int(np.argmax(seen)) + 1 + 5 < 200
    best = int(np.argmax(smoothed(seen, 21))) + 1
    assert result.rounds == best
    assert facts(tmp_path / "model")["rounds_trained"] == len(seen)
    assert result.evaluation is not None
    assert result.evaluation.means["ndcg@10"] == pytest.approx(seen[best - 1], abs=1e-9)
    whole = fit(replace(config, early_stopping=0, rounds=best), lists(), lists(seed=1))
    np.testing.assert_array_equal(whole.score(lists().features), result.ranker.score(lists().features))


def test_train_and_valid_of_different_widths_get_the_wider(tmp_path: Path) -> None:
    narrow = replace(lists(), features=lists().features[:, :3])
    for number, (data, valid) in enumerate([(narrow, lists(seed=1)), (lists(seed=1), narrow)]):
        assert train(quick(), data, valid, tmp_path / str(number)).ranker.feature_count == 4


def test_valid_columns_in_another_order_are_refused(tmp_path: Path) -> None:
    names = ["bm25", "age", "clicks", "length"]
    data, valid = replace(lists(), feature_names=names), replace(lists(seed=1), feature_names=names[::-1])
    with pytest.raises(DataError, match="feature 1 of the data is 'length' where 'bm25' is expected"):
        train(quick(), data, valid, tmp_path / "model")


def test_a_query_without_relevant_documents_is_trained_and_counted(tmp_path: Path) -> None:
    """It has no pairs, and counts 0, or 1, or not at all, by the convention."""
    labels = lists().labels.copy()
    labels[: lists().sizes[0]] = 0
    data = replace(lists(), labels=labels)
    valid = replace(lists(seed=1), labels=np.where(np.arange(len(lists(seed=1).labels)) < 60, 0, 1.0))
    means = []
    for empty in ("zero", "skip", "one"):
        result = train(quick(empty=empty), data, valid, tmp_path / empty)
        assert result.evaluation is not None
        means.append(result.evaluation.means["ndcg@10"])
    assert means[0] < means[1] <= means[2]


def test_held_out_lists_of_which_none_counts_are_refused(tmp_path: Path) -> None:
    valid = replace(lists(seed=1), labels=np.zeros_like(lists(seed=1).labels))
    with pytest.raises(DataError, match="no query is left to average"):
        train(quick(empty="skip"), lists(), valid, tmp_path / "model")


# --- What cannot be trained on ----------------------------------------------------------------------


def test_equal_labels_leave_nothing_to_learn(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="every gradient is zero: no query has two documents with different"):
        train(quick(), one_list([1] * 30), lists(seed=1), tmp_path / "model")


def test_a_model_of_no_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"no split to make, so that every score would be the same: .*lower boo"
    ):
        train(quick("xgboost", booster={"min_child_weight": 1e6}), lists(), None, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def refuse_to_boost(backend: str, job: Job) -> bytes:
    raise AssertionError("trained")


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ranking.training.trainers.boost", refuse_to_boost)


@pytest.mark.usefixtures("no_training")
def test_a_folder_that_is_no_model_is_refused_before_training_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="exists and is no model folder"):
        train(quick(), lists(), None, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    with pytest.raises(UsageError, match="exists and is no model folder"):
        train(quick(), lists(), None, tmp_path / "thesis.tex")


def test_an_older_model_is_replaced(tmp_path: Path) -> None:
    for rounds in (3, 5):
        train(quick(rounds=rounds), lists(), None, tmp_path / "model")
    assert facts(tmp_path / "model")["rounds"] == 5
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"], "nothing is left beside it"


# --- Beside another model ---------------------------------------------------------------------------


def test_another_model_is_shown_in_the_report(tmp_path: Path) -> None:
    other = train(quick(rounds=2), lists(), None, tmp_path / "other")
    train(quick(), lists(), None, tmp_path / "model", against=other.ranker)
    assert "compared model" in (tmp_path / "model" / "report.html").read_text()
    assert "compared model" not in (tmp_path / "other" / "report.html").read_text()


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("names", "missing", "error", "message"),
    [
        (("1", "2", "3", "4"), "nan", UsageError, "missing=nan, this run as missing=zero"),
        (("1", "2", "3"), "zero", DataError, "the data has 4 features, the model was trained on 3"),
    ],
)
def test_another_model_that_cannot_be_shown_is_refused_before_training(
    tmp_path: Path, names: tuple[str, ...], missing: Any, error: type[Exception], message: str
) -> None:
    other = TreeRanker("lightgbm", b"", names, missing, ForestEvaluator.__new__(ForestEvaluator))
    with pytest.raises(error, match=message):
        train(quick(), lists(), None, tmp_path / "model", against=other)


# --- Kill and resume --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The files of a run that nothing happened to, by backend."""
    place = tmp_path_factory.mktemp("unbroken")
    for backend in BACKENDS:
        train(quick(backend), from_file(letor(place / "train.txt")), None, place / backend)
    return {backend: contents(place / backend) for backend in BACKENDS}


@pytest.mark.parametrize(
    "rounds", [7, *(pytest.param(rounds, marks=pytest.mark.slow) for rounds in (1, ROUNDS))]
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_killed_run_resumed_writes_the_same_bytes(
    tmp_path: Path, backend: str, rounds: int, unbroken: dict[str, dict[str, str]]
) -> None:
    """Every file of the folder; after the last round nothing but the folder was missing."""
    data, out = letor(tmp_path / "train.txt"), tmp_path / "model"
    with stopped_at(rounds, "train", data, "--out", out, *flags(quick(backend))) as process:
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
    assert not out.exists()
    result = train(quick(backend), from_file(data), None, out, resume=True)
    assert f"resumed after round {rounds}" in result.notes
    assert contents(out) == unbroken[backend]
    assert not folder_for(out).exists()


@pytest.mark.parametrize("backend", ["lightgbm", pytest.param("xgboost", marks=pytest.mark.slow)])
def test_ctrl_c_leaves_the_best_model_and_what_resume_continues_from(
    tmp_path: Path, backend: str, unbroken: dict[str, dict[str, str]]
) -> None:
    data, out = letor(tmp_path / "train.txt"), tmp_path / "model"
    with stopped_at(6, "train", data, "--out", out, "--json", *flags(quick(backend))) as process:
        process.send_signal(signal.SIGINT)
        told, said = process.communicate("go on\n", timeout=60)
        assert process.returncode == 130
    assert "interrupted: kept the best model so far; --resume continues the run" in said
    assert json.loads(told)["interrupted"] is True
    assert facts(out)["rounds_trained"] == 6
    checkpoint = json.loads((folder_for(out) / "state.json").read_text())
    assert facts(out)["rounds"] == int(np.argmax(smoothed(checkpoint["history"], 21))) + 1
    assert opened(out).feature_count == 4
    train(quick(backend), from_file(data), None, out, resume=True)
    assert contents(out) == unbroken[backend]


class Killed(BaseException):
    """Stands for the end of the process, where the test goes on in this one."""


def killed_at(rounds: int, config: TrainConfig, out: Path, data: RankingDataset) -> None:
    """A run that ends after this round's checkpoint."""

    def progress(done: int, of: int, value: float | None, left: float | None) -> None:
        if done > rounds:
            raise Killed

    with pytest.raises(Killed):
        train(config, data, None, out, progress=progress)


def resumed(config: TrainConfig, out: Path, data: RankingDataset) -> TrainResult:
    return train(config, data, None, out, resume=True)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_killed_twice_with_early_stopping_is_the_unbroken_one(tmp_path: Path, backend: str) -> None:
    """Patience counts over the kills."""
    config = quick(backend, rounds=100, early_stopping=4)
    whole = train(config, lists(), None, tmp_path / "whole")
    out = tmp_path / "model"
    killed_at(2, config, out, lists())

    def again(done: int, of: int, value: float | None, left: float | None) -> None:
        if done > 4:
            raise Killed

    with pytest.raises(Killed):
        train(config, lists(), None, out, resume=True, progress=again)
    assert "resumed after round 4" in resumed(config, out, lists()).notes
    assert contents(out) == contents(whole.folder)


def test_a_run_killed_after_early_stopping_s_last_round_trains_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = quick(rounds=100, early_stopping=4)
    whole = train(config, lists(), None, tmp_path / "whole")
    out = tmp_path / "model"
    with monkeypatch.context() as broken:
        broken.setattr("ranking.training.run.best_feature", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            train(config, lists(), None, out)
    resumed(config, out, lists())
    assert contents(out) == contents(whole.folder)


def test_another_config_or_other_data_is_not_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names what differs."""
    out = tmp_path / "model"
    killed_at(3, quick(), out, lists())
    monkeypatch.setattr("ranking.training.trainers.boost", refuse_to_boost)
    with pytest.raises(UsageError, match="different: booster"):
        resumed(quick(booster={"max_bin": 15}), out, lists())
    with pytest.raises(UsageError, match="different: objective, rounds"):
        resumed(quick(objective="hinge", rounds=9), out, lists())
    weighted = replace(lists(), weights=np.arange(40, dtype=np.float32) + 1)
    for other in (lists(seed=1), weighted):
        with pytest.raises(UsageError, match="different: held-out data, train data"):
            resumed(quick(), out, other)


def test_how_often_checkpoints_are_kept_may_change(tmp_path: Path) -> None:
    killed_at(3, quick(), tmp_path / "model", lists())
    assert "resumed after round 3" in resumed(quick(checkpoint_seconds=60), tmp_path / "model", lists()).notes


@pytest.mark.parametrize(
    ("backend", "changes", "state"),
    [
        ("lightgbm", {"booster": {"bagging_fraction": 0.5, "bagging_freq": 1}}, "booster.bagging_fraction"),
        ("lightgbm", {"objective": "builtin:rank_xendcg"}, "objective rank_xendcg"),
        ("xgboost", {"booster": {"subsample": 0.5}}, "booster.subsample"),
    ],
)
def test_a_run_with_a_state_starts_over_and_says_so(
    tmp_path: Path, backend: str, changes: dict[str, Any], state: str
) -> None:
    """No booster can restore its sampler; the bytes are those of the unbroken run all the same."""
    config = quick(backend, **changes)
    whole = train(config, lists(), None, tmp_path / "whole")
    killed_at(3, config, tmp_path / "model", lists())
    notes = resumed(config, tmp_path / "model", lists()).notes
    assert notes[-1] == f"{backend} cannot restore the state of {state}: started at round 0"
    assert contents(tmp_path / "model") == contents(whole.folder)


def test_dart_cannot_be_stopped_early(tmp_path: Path) -> None:
    """Later rounds rescale earlier trees: the best round would be a model nobody measured."""
    config = quick(booster={"boosting": "dart"}, early_stopping=3)
    with pytest.raises(UsageError, match="use --early-stopping 0"):
        train(config, lists(), lists(1), tmp_path / "m")
    assert train(replace(config, early_stopping=0), lists(), lists(1), tmp_path / "m").rounds == ROUNDS


@pytest.mark.parametrize("backend", BACKENDS)
def test_missing_zero_trains_on_what_the_model_will_see(tmp_path: Path, backend: str) -> None:
    """Data that comes with NaN, from a frame say, is filled before the training as it is when serving."""
    data = lists()
    holes, zeros = data.features.copy(), data.features.copy()
    holes[::3, 0], zeros[::3, 0] = np.nan, 0.0
    filled = train(quick(backend), replace(data, features=holes), lists(1), tmp_path / "holes")
    train(quick(backend), replace(data, features=zeros), lists(1), tmp_path / "zeros")
    assert contents(tmp_path / "holes") == contents(tmp_path / "zeros")
    assert any("missing values of 1 features" in note for note in filled.notes)
    alone = fit(quick(backend), replace(data, features=holes), lists(1))
    np.testing.assert_array_equal(alone.score(zeros), opened(tmp_path / "zeros").score(zeros))


def test_ctrl_c_after_the_last_tree_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is measured and saved all the same, and the caller is told."""
    real = ranking.training.run.best_feature

    def interrupted(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return real(*arguments)

    monkeypatch.setattr(ranking.training.run, "best_feature", interrupted)
    result = train(quick(), lists(), lists(1), tmp_path / "m")
    assert result.interrupted
    assert opened(tmp_path / "m").score(lists().features).any()


def test_resuming_without_a_checkpoint_starts_over_and_says_so(tmp_path: Path) -> None:
    notes = resumed(quick(), tmp_path / "model", lists()).notes
    assert notes[-1] == "no checkpoint to resume from: started at round 0"


def test_a_damaged_checkpoint_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_at(3, quick(), tmp_path / "model", lists())
    monkeypatch.setattr("ranking.training.trainers.boost", refuse_to_boost)
    model = next(folder_for(tmp_path / "model").glob("model-*"))
    model.write_bytes(model.read_bytes()[:-20])
    with pytest.raises(
        ArtifactError, match=r"model.checkpoint is damaged \(hash of .*delete it and train again"
    ):
        resumed(quick(), tmp_path / "model", lists())


def test_a_run_that_fails_leaves_its_checkpoint(tmp_path: Path) -> None:
    """Disks that fill up and machines that go down come after hours of training."""
    out = tmp_path / "model"
    killed_at(5, quick(), out, lists())
    state = json.loads((folder_for(out) / "state.json").read_text())
    checkpoint = read_checkpoint(folder_for(out), state["identity"])
    assert checkpoint is not None
    assert checkpoint.rounds == 5
    assert len(checkpoint.history) == 5
    assert len(checkpoint.train_history) == 4


@pytest.mark.parametrize("backend", BACKENDS)
def test_categorical_features_are_kept_in_the_manifest(tmp_path: Path, backend: str) -> None:
    """By the numbers or names given, and by name; the folder scores as what was trained."""
    features = lists().features.copy()
    features[:, 1] = np.random.default_rng(0).integers(0, 9, len(features))
    data = replace(lists(), features=features, feature_names=["title", "brand", "age", "clicks"])
    result = train(quick(backend, categorical="brand"), data, None, tmp_path / "name")
    numbered = train(quick(backend, categorical=[2]), data, None, tmp_path / "number")
    assert result.ranker.model == numbered.ranker.model  # type: ignore[union-attr]
    found = facts(tmp_path / "number")
    assert (found["categorical"], found["config"]["categorical"]) == (["brand"], [2])
    assert "categorical" not in facts(train(quick(backend), data, None, tmp_path / "none").folder)
    np.testing.assert_array_equal(opened(tmp_path / "name").score(features), result.ranker.score(features))
