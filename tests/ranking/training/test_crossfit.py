"""Preset best: members that have not seen what they are judged on, together as one forest."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ranking.data.dataset import RankingDataset
from ranking.errors import DataError
from ranking.metrics import Metric
from ranking.models.folder import read_manifest
from ranking.models.loading import load_ranker
from ranking.training.checkpoint import folder_for
from ranking.training.config import TrainConfig
from ranking.training.crossfit import CrossFit, cross_fit, folds_of, rows_of
from ranking.training.run import fit, train
from ranking.training.trainers import Trees
from ranking.training.watch import Stop
from ranking.trees.backends import BACKENDS
from ranking.trees.ranker import TreeRanker
from tests.ranking.training.runs import contents, flags, from_file, letor, lists, quick, stopped_at

NDCG = Metric.parse("ndcg@10")
both = pytest.mark.parametrize("backend", BACKENDS)


def best(backend: str = "lightgbm", **changes: Any) -> TrainConfig:
    return quick(backend, **({"preset": "best", "rounds": 8, "threads": 2} | changes))


def fitted(config: TrainConfig, pool: RankingDataset | None = None) -> CrossFit:
    return cross_fit(config, pool or lists(), stop=Stop())


def facts(folder: Path) -> dict[str, Any]:
    return dict(read_manifest(folder).facts)


# --- Honest numbers -----------------------------------------------------------------------------------


@both
def test_no_member_saw_the_queries_it_is_judged_on(backend: str) -> None:
    """Whatever the documents of its fold hold, its trees are the same: they only stop it."""
    config = best(backend)
    pool = lists()
    for number, (member, fold) in enumerate(
        zip(fitted(config).members, folds_of(config.members, config.seed, pool), strict=True)
    ):
        np.testing.assert_array_equal(member.queries, fold)
        noise = np.random.default_rng(number).normal(size=pool.features.shape).astype(np.float32)
        held = np.isin(np.arange(pool.document_count), rows_of(pool, fold))
        other = replace(pool, features=np.where(held[:, None], noise, pool.features))
        again = fitted(config, other).members[number]
        np.testing.assert_array_equal(again.queries, fold)
        assert again.ranker.model == member.ranker.model


@both
def test_each_query_lies_in_one_fold_and_is_scored_by_its_member(backend: str) -> None:
    config, pool = best(backend), lists()
    found = fitted(config)
    assert np.concatenate([member.queries for member in found.members]).tolist() != list(range(40))
    np.testing.assert_array_equal(
        np.sort(np.concatenate([member.queries for member in found.members])), np.arange(pool.query_count)
    )
    scores = found.out_of_fold
    for member, scale in zip(found.members, found.scales, strict=True):
        own = member.ranker.score(pool.queries(member.queries).features)
        np.testing.assert_allclose(scores[rows_of(pool, member.queries)], scale * own, rtol=1e-5)


def test_of_eight_members_two_judge_a_query() -> None:
    found = fitted(best(best={"members": 8}))
    judges = np.bincount(np.concatenate([member.queries for member in found.members]))
    assert judges.tolist() == [2] * 40
    assert not np.array_equal(found.members[0].queries, found.members[4].queries)
    assert [member.config.objective for member in found.members[:4]] == [
        member.config.objective for member in found.members[4:]
    ]


def test_spreads_are_of_scores_around_the_mean_of_their_list() -> None:
    found = fitted(best())
    member, pool = found.members[1], lists()
    apart = []
    for query in member.queries:
        scores = member.ranker.score(pool.queries([query]).features).astype(float)
        apart += (scores - scores.mean()).tolist()
    assert found.scales[1] == pytest.approx(1 / np.sqrt(np.mean(np.square(apart))))


@both
def test_the_whole_is_the_sum_of_the_members(backend: str) -> None:
    found, fresh = fitted(best(backend)), lists(seed=9).features
    expected = sum(
        scale * member.ranker.score(fresh).astype(float)
        for member, scale in zip(found.members, found.scales, strict=True)
    )
    np.testing.assert_allclose(found.ranker.score(fresh), expected, rtol=1e-4, atol=1e-5)


@both
def test_metrics_are_out_of_fold_and_say_so(backend: str, tmp_path: Path) -> None:
    result = train(best(backend), lists(), None, tmp_path / "model")
    found = fitted(best(backend))
    expected = NDCG.mean(found.out_of_fold, lists())
    assert result.as_json()["metrics"]["valid"]["ndcg@10"] == pytest.approx(expected)
    assert result.as_json()["metrics"]["out_of_fold"] is True
    told = facts(tmp_path / "model")
    assert told["metrics"] == result.as_json()["metrics"]
    assert any("measured by the 1 that did not see it, which is below" in note for note in result.notes)
    page = (tmp_path / "model" / "report.html").read_text()
    assert "each scored by the members that have not seen it (out of fold)" in page
    assert "Quality out of fold" in page
    # what it would say of itself on what it was trained on
    assert NDCG.mean(result.ranker.score(lists().features), lists()) > expected


def test_a_single_model_is_not_out_of_fold(tmp_path: Path) -> None:
    result = train(quick(), lists(), None, tmp_path / "model")
    assert list(result.as_json()["metrics"]) == list(facts(tmp_path / "model")["metrics"]) == ["valid"]


# --- What it is made of -------------------------------------------------------------------------------


def test_the_manifest_names_each_member(tmp_path: Path) -> None:
    result = train(best(seed=3), lists(), None, tmp_path / "model")
    told = facts(tmp_path / "model")
    assert [member["objective"]["name"] for member in told["members"]] == [
        "lambdarank", "xendcg", "squared_hinge", "hinge"
    ]  # fmt: skip
    assert told["members"][0]["objective"]["score_normalization"] is False
    assert [member["fold"] for member in told["members"]] == [1, 2, 3, 4]
    assert sum(member["trees"] for member in told["members"]) == told["rounds"] == result.rounds
    assert told["rounds_trained"] == sum(member["rounds_trained"] for member in told["members"]) == 32
    assert len({member["seed"] for member in told["members"]}) == 4
    assert told["config"]["best"] == {"members": 4, "trees": None}


def test_valid_lists_are_trained_on_too(tmp_path: Path) -> None:
    result = train(best(), lists(), lists(seed=1), tmp_path / "model")
    assert facts(tmp_path / "model")["query_digests"]["train"]["queries"] == 80
    assert facts(tmp_path / "model")["data"]["valid"] is None
    assert any("trained on all 80 queries, those of --valid too" in note for note in result.notes)


def test_a_named_objective_is_that_of_every_member() -> None:
    config = best(objective="ranknet", objective_parameters={"truncation": 5})
    assert {run.objective for run in config.runs} == {"ranknet"}
    assert [run.told_parameters()["truncation"] for run in config.runs] == [5] * 4
    own = best(objective="builtin")
    assert [member.config.builtin for member in fitted(own).members] == [""] * 4


def test_a_blend_is_settled_by_what_each_member_learns_from() -> None:
    scales = [member.config.told_parameters()["scales"] for member in fitted(best(objective="blend")).members]
    assert len({tuple(found) for found in scales}) == 4  # type: ignore[arg-type]


@both
def test_weights_categories_and_missing_values_go_through(backend: str, tmp_path: Path) -> None:
    data = lists()
    features = data.features.copy()
    features[:, 2] = np.arange(len(features)) % 3
    features[::7, 1] = np.nan
    weights = np.linspace(0.5, 2, data.query_count).astype(np.float32)
    data = replace(data, features=features, weights=weights)
    config = best(backend, missing="nan", categorical=[3])
    result = train(config, data, None, tmp_path / "model")
    assert facts(tmp_path / "model")["categorical"] == ["3"]
    opened = load_ranker(tmp_path / "model")
    np.testing.assert_array_equal(opened.score(features), result.ranker.score(features))
    plain = train(config, replace(data, weights=None), None, tmp_path / "plain")
    assert (plain.ranker.score(features) != result.ranker.score(features)).any()


@both
def test_the_forest_can_be_cut_as_it_is_trained(backend: str, tmp_path: Path) -> None:
    result = train(best(backend, best={"trees": 10}), lists(), None, tmp_path / "model")
    told = facts(tmp_path / "model")
    assert sum(member["trees"] for member in told["members"]) == told["rounds"] == 10
    assert isinstance(result.ranker, TreeRanker)
    assert result.ranker.evaluator.forest.tree_count == 10
    whole = train(best(backend, best={"trees": 1000}), lists(), None, tmp_path / "whole")
    assert whole.rounds == 32


def test_fit_gives_what_train_saves(tmp_path: Path) -> None:
    trained = train(best(), lists(), lists(seed=1), tmp_path / "model")
    np.testing.assert_array_equal(
        fit(best(), lists(), lists(seed=1)).score(lists().features), trained.ranker.score(lists().features)
    )


def test_too_few_queries_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="5 different queries have a relevant document"):
        train(best(), lists(queries=5), None, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_what_a_member_cannot_do_is_said_with_its_name() -> None:
    with pytest.raises(DataError, match=r"member \d \(\w+\): LightGBM finds no feature to split"):
        fitted(best(booster={"min_data_in_leaf": 10_000}))


# --- Interrupted and killed ---------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for the end of the process, where the test goes on in this one."""


def killed_after(members: int, config: TrainConfig, out: Path) -> None:
    """A run that ends with this many members trained, in the middle of the next."""

    def progress(done: int, of: int, value: float | None, left: float | None, told: str = "") -> None:
        if told.startswith(f"{members} of") and done > members * config.rounds + 3:
            raise Killed

    with pytest.raises(Killed):
        train(config, lists(), None, out, progress=progress)


@both
def test_a_killed_run_goes_on_member_by_member(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = best(backend, threads=1)
    train(config, lists(), None, tmp_path / "unbroken")
    killed_after(2, config, tmp_path / "model")
    starts: list[int] = []
    whole: Callable[..., Any] = Trees.fit

    def counted(self: Trees, task: Any) -> Any:
        starts.append(task.watch.first)
        return whole(self, task)

    monkeypatch.setattr(Trees, "fit", counted)
    result = train(config, lists(), None, tmp_path / "model", resume=True)
    assert starts[:2] == [8, 8]
    assert 0 < starts[2] < 8
    assert starts[3] == 0
    assert any("resumed: the members went on after rounds 8, 8, " in note for note in result.notes)
    assert contents(tmp_path / "model") == contents(tmp_path / "unbroken")
    assert not folder_for(tmp_path / "model").exists()


def test_runs_are_the_same_however_many_members_train_at_once(tmp_path: Path) -> None:
    """Each with one thread: those of one run and of another."""
    for name in ("one", "other"):
        train(best(threads=4), lists(), None, tmp_path / name)
    assert contents(tmp_path / "one") == contents(tmp_path / "other")
    alone, together = (fitted(best(threads=threads)).ranker for threads in (1, 4))
    assert alone.model == together.model


def test_ctrl_c_keeps_what_was_trained_and_resume_goes_on(tmp_path: Path) -> None:
    data, out = letor(tmp_path / "train.txt"), tmp_path / "model"
    config = best(threads=1)
    with stopped_at(3, "train", data, "--out", out, "--json", *flags(config)) as process:
        process.send_signal(signal.SIGINT)
        told, said = process.communicate("go on\n", timeout=60)
        assert process.returncode == 130
    assert "interrupted: kept the best model so far" in said
    assert json.loads(told)["interrupted"] is True
    found = facts(out)
    (member,) = found["members"]
    assert member["fold"] == 1
    assert 3 <= member["rounds_trained"] < 8  # the signal reaches another thread than the one that trains
    train(config, from_file(data), None, tmp_path / "unbroken")
    resumed = train(config, from_file(data), None, out, resume=True)
    assert not resumed.interrupted
    assert contents(out) == contents(tmp_path / "unbroken")


def test_an_end_asked_for_leaves_out_the_members_that_had_not_begun() -> None:
    stop = Stop()

    def progress(done: int, of: int, value: float | None, left: float | None, told: str = "") -> None:
        stop.asked = stop.asked or done == 11

    found = cross_fit(best(threads=1), lists(), stop=stop, progress=progress)
    assert [member.watch.rounds for member in found.members] == [8, 3]
    assert len(found.judged) == 20
    assert len(found.out_of_fold) == lists().queries(found.judged).document_count
    assert found.ranker.rounds == sum(member.trees for member in found.members)


def test_progress_counts_the_rounds_of_all_members() -> None:
    seen: list[tuple[Any, ...]] = []
    cross_fit(best(threads=1), lists(), stop=Stop(), progress=lambda *report: seen.append(report))
    assert [report[0] for report in seen if report[4] == "0 of 4 members done"] == list(range(1, 9))
    assert seen[0][1] == 32
    done, of, value, left, told = seen[-1]
    assert (done, of, left, told) == (32, 32, 0, "4 of 4 members done")
    assert 0 < value < 1


def test_a_member_that_stops_early_leaves_no_rounds_to_come() -> None:
    seen: list[tuple[Any, ...]] = []
    config = best(rounds=60, early_stopping=2, threads=1)
    cross_fit(config, lists(), stop=Stop(), progress=lambda *report: seen.append(report))
    assert seen[-1][0] == seen[-1][1] < 240
