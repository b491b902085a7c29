"""`ranking.training.tuning`: the search, its memory, and what it leaves."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ranking.errors import DataError, MissingExtraError, UsageError
from ranking.training.config import TrainConfig
from ranking.training.crossvalidation import Folds, cross_validate, folds_from
from ranking.training.tuning import Space, TuneResult, tune
from ranking.training.tuning.space import SEARCHED_OBJECTIVES
from ranking.training.tuning.study import DEFAULT
from ranking.trees.backends import BACKENDS
from tests.ranking.training.runs import letor, lists, quick

optuna = pytest.importorskip("optuna")


@pytest.fixture(scope="module")
def folds() -> Folds:
    return folds_from([lists()], "3", quick())


def space(backend: str = "lightgbm", objectives: tuple[str, ...] = ("lambdarank",), **more: Any) -> Space:
    return Space(quick(backend, rounds=3, early_stopping=2, booster={}, **more), objectives)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_first_trial_is_the_default_and_is_what_cv_measures(
    backend: str, folds: Folds, tmp_path: Path
) -> None:
    start = TrainConfig(backend=backend, rounds=3, threads=1)
    found = tune(Space(start, (start.objective,)), folds, tmp_path, trials=1)
    assert found.default is not None
    assert (found.default.number, found.best.number, len(found.trials)) == (0, 0, 1)
    config = found.best_config
    assert config.booster_settings.items() >= start.booster_settings.items()
    assert config.queries_a_tree == start.queries_a_tree
    assert config.booster.keys() == BACKENDS[backend].search.keys()
    measured = cross_validate(start, folds)
    queries = [fold.queries for fold in measured.folds]
    mean = sum(fold.means["ndcg@10"] * n for fold, n in zip(measured.folds, queries, strict=True)) / sum(
        queries
    )
    assert found.best.value == pytest.approx(mean)
    assert found.difference() == {"mean": 0.0, "interval": [0.0, 0.0], "p": 1.0}


def test_a_search_ends_at_its_trials_and_goes_on_when_called_again(folds: Folds, tmp_path: Path) -> None:
    assert len(tune(space(), folds, tmp_path, trials=2).trials) == 2
    more = tune(space(), folds, tmp_path, trials=4)
    assert [trial.number for trial in more.trials] == [0, 1, 2, 3]
    assert len(tune(space(), folds, tmp_path, trials=3).trials) == 4, "already there"


def test_a_disk_that_is_full_at_the_end_costs_no_trial(
    folds: Folds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The study holds them all: the same call writes the rest once there is room."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(TuneResult, "write", full)
        with pytest.raises(
            DataError, match=r"No space left on device; the study is kept in .*study.db: make"
        ):
            tune(space(), folds, tmp_path, trials=2)
    assert len(tune(space(), folds, tmp_path, trials=2).trials) == 2
    assert (tmp_path / "best.toml").exists()


def test_equal_searches_try_the_same(folds: Folds, tmp_path: Path) -> None:
    one, two = (tune(space(), folds, tmp_path / name, trials=4) for name in ("one", "two"))
    assert [t.choices for t in one.trials] == [t.choices for t in two.trials]
    assert [t.value for t in one.trials] == [t.value for t in two.trials]


def test_what_is_fixed_is_not_searched(folds: Folds, tmp_path: Path) -> None:
    start = replace(
        space().start, booster={"num_leaves": 5}, objective_parameters={"truncation": 7, "sigma": 2.0}
    )
    found = tune(Space(start, ("lambdarank",)), folds, tmp_path, trials=3)
    for trial in found.trials:
        assert "num_leaves" not in trial.choices
        assert not any("truncation" in name for name in trial.choices)
    assert found.best_config.booster["num_leaves"] == 5
    assert found.best_config.objective_parameters == {"truncation": 7, "sigma": 2.0}


def test_several_objectives_are_searched_each_with_its_truncation(folds: Folds, tmp_path: Path) -> None:
    found = tune(space(objectives=("lambdarank", "xendcg", "ranknet")), folds, tmp_path, trials=12)
    seen = {trial.choices["objective"] for trial in found.trials}
    assert len(seen) > 1
    for trial in found.trials:
        name = trial.choices["objective"]
        assert (f"truncation of {name}" in trial.choices) == (name != "xendcg")


def test_best_toml_is_what_train_takes(folds: Folds, tmp_path: Path) -> None:
    found = tune(space(objectives=("ranknet",)), folds, tmp_path, trials=3)
    loaded = TrainConfig.load(tmp_path / "best.toml")
    machine = {"threads": 1, "checkpoint_seconds": 0}
    assert replace(loaded, **machine) == replace(found.best_config, **machine)


def test_no_truncation_survives_toml(tmp_path: Path) -> None:
    from ranking.training.tuning.result import plain
    from ranking.training.written import as_toml

    config = TrainConfig(objective="lambdarank", objective_parameters={"truncation": None})
    (tmp_path / "c.toml").write_text(as_toml(plain(config)))
    assert TrainConfig.load(tmp_path / "c.toml").objective_parameters == {"truncation": None}


def test_trials_and_page_are_written(folds: Folds, tmp_path: Path) -> None:
    found = tune(space(), folds, tmp_path, trials=12)
    rows = [json.loads(line) for line in (tmp_path / "trials.jsonl").read_text().splitlines()]
    assert [row["trial"] for row in rows] == list(range(12))
    assert rows[0]["default"] is True
    page = (tmp_path / "report.html").read_text()
    assert "0 (default)" in page
    assert "learning_rate" in page
    assert "<script" not in page
    complete = [t for t in found.trials if t.state == "complete"]
    assert found.best.value == max(t.value for t in complete if t.value is not None)
    assert found.default is not None
    assert found.best.value >= (found.default.value or 0)


def test_hopeless_trials_are_pruned_with_the_folds_they_saw(folds: Folds, tmp_path: Path) -> None:
    found = tune(space(), folds, tmp_path, trials=16)
    pruned = [trial for trial in found.trials if trial.state == "pruned"]
    assert pruned
    assert all(trial.value is not None and not trial.rounds for trial in pruned)
    assert found.as_json()["pruned"] == len(pruned)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"metric": "map"}, "metric was 'ndcg@10', now it is 'map'"),
        ({"rounds": 4}, "rounds was 3, now it is 4"),
        ({"booster": {"num_leaves": 5}}, "booster was"),
    ],
)
def test_another_search_is_refused(change: dict[str, Any], named: str, folds: Folds, tmp_path: Path) -> None:
    tune(space(), folds, tmp_path, trials=1)
    with pytest.raises(UsageError, match=named):
        tune(Space(replace(space().start, **change), ("lambdarank",)), folds, tmp_path, trials=2)


def test_other_data_are_refused(folds: Folds, tmp_path: Path) -> None:
    tune(space(), folds, tmp_path, trials=1)
    other = folds_from([lists(seed=9)], "3", quick())
    with pytest.raises(UsageError, match="study of another search: data was"):
        tune(space(), other, tmp_path, trials=2)


def test_a_time_budget_still_measures_the_default(folds: Folds, tmp_path: Path) -> None:
    found = tune(space(), folds, tmp_path, seconds=0.05)
    assert found.default is not None
    assert len(found.trials) <= 3


def test_trials_that_cannot_be_trained_are_passed_over(
    folds: Folds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ranking.training import tuning

    measured = tuning._measured

    def refuse(config: TrainConfig, *arguments: Any) -> Any:
        if config.booster["learning_rate"] != 0.05:
            raise DataError("no split to make")
        return measured(config, *arguments)

    monkeypatch.setattr(tuning, "_measured", refuse)
    found = tune(space(), folds, tmp_path, trials=4)
    assert [trial.state for trial in found.trials] == ["complete", "pruned", "pruned", "pruned"]
    monkeypatch.setattr(
        tuning, "_measured", lambda *_: refuse(replace(TrainConfig(), booster={"learning_rate": 1}))
    )
    with pytest.raises(DataError, match="no split to make"):
        tune(space(), folds, tmp_path / "other", trials=4)


def test_a_search_needs_an_end(folds: Folds, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give the search an end"):
        tune(space(), folds, tmp_path)


@pytest.mark.parametrize(
    ("objectives", "parameters", "message"),
    [
        (("builtin",), {}, "is the booster's own"),
        (("lambdarank", "ranknet"), {"sigma": 2.0}, "objective.sigma belongs to one objective"),
        (("lamdarank",), {}, "did you mean 'lambdarank'"),
    ],
)
def test_spaces_that_make_no_sense(
    objectives: tuple[str, ...], parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Space(TrainConfig(objective_parameters=parameters), objectives)


def test_the_default_lies_in_every_space() -> None:
    for backend in BACKENDS:
        for objectives in (SEARCHED_OBJECTIVES, ("lambdarank_precision",), ("hinge",), ("softmax",)):
            one = Space(TrainConfig(backend=backend), objectives)
            found = one.suggest(optuna.trial.FixedTrial(one.default()))
            assert found.objective == objectives[0]


def test_ctrl_c_leaves_what_was_found(folds: Folds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    from ranking.training import tuning

    measured = tuning._measured

    def interrupt(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return measured(*arguments)

    monkeypatch.setattr(tuning, "_measured", interrupt)
    found = tune(space(), folds, tmp_path, trials=9)
    assert found.interrupted
    assert found.default is not None
    assert (tmp_path / "best.toml").exists()


def test_without_optuna_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folds: Folds
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match="tune"):
        tune(space(), folds, tmp_path, trials=1)


def _command(tmp_path: Path, trials: int) -> list[str]:
    return [
        sys.executable, "-m", "ranking.cli", "tune", str(tmp_path / "t.txt"), "--out", str(tmp_path / "out"),
        "--trials", str(trials), "--rounds", "5", "--objective", "lambdarank", "--threads", "1", "--json",
    ]  # fmt: skip


@pytest.mark.slow
def test_two_processes_share_a_search(tmp_path: Path) -> None:
    """Each trial is run once, and neither waits for the other."""
    letor(tmp_path / "t.txt")
    both = [subprocess.Popen(_command(tmp_path, 8), stdout=subprocess.PIPE, text=True) for _ in range(2)]
    ended = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    study = optuna.load_study(study_name="rankwright", storage=f"sqlite:///{tmp_path}/out/study.db")
    states = [trial.state.name for trial in study.trials]
    assert 8 <= len(states) <= 9, "the two may end their last trials at once"
    assert states.count("COMPLETE") + states.count("PRUNED") == len(states)
    assert sum(bool(trial.user_attrs.get(DEFAULT)) for trial in study.trials) == 1
    assert max(one["best"]["value"] for one in ended) == study.best_value


@pytest.mark.slow
def test_a_killed_search_goes_on(tmp_path: Path) -> None:
    letor(tmp_path / "t.txt")
    killed = subprocess.Popen(_command(tmp_path, 400), stdout=subprocess.PIPE, text=True)
    database = tmp_path / "out" / "study.db"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if database.exists() and _finished(database) >= 2:
            break
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    before = _finished(database)
    assert before >= 2
    again = subprocess.run(
        _command(tmp_path, before + 2), stdout=subprocess.PIPE, text=True, timeout=60, check=True
    )
    assert json.loads(again.stdout)["trials"] >= before + 2


def _finished(database: Path) -> int:
    """How many trials have ended; read without Optuna, which would make tables of its own here."""
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT state FROM trials WHERE state NOT IN ('RUNNING', 'WAITING')")
            return len(rows.fetchall())
    except sqlite3.OperationalError:  # the file is there before its tables
        return 0


def test_the_shares_and_the_truncation_of_a_blend_are_searched() -> None:
    one = Space(TrainConfig(objective="blend"), ("blend",))
    default = one.default()
    assert (default["share of ranknet"], default["truncation of blend"]) == (1.0, 30)
    found = one.suggest(
        optuna.trial.FixedTrial(default | {"share of ranknet": 0.5, "truncation of blend": 10})
    )
    told = found.training_objective.parameters()
    assert told["shares"] == [1.0, 0.5]
    assert (told["lambdarank"]["truncation"], told["ranknet"]["truncation"]) == (10, 10)
    fixed = Space(TrainConfig(objective_parameters={"shares": [1, 2], "ranknet.truncation": 5}), ("blend",))
    assert not {"share of ranknet", "truncation of blend"} & fixed.default().keys()


def test_the_members_of_preset_best_are_searched(folds: Folds, tmp_path: Path) -> None:
    start = quick(preset="best", rounds=3, booster={})
    one = Space(start, (start.objective,))
    assert one.default()["members"] == 4
    found = one.suggest(optuna.trial.FixedTrial(one.default() | {"members": 2}))
    assert [run.objective for run in found.runs] == ["lambdarank", "xendcg"]
    fixed = Space(quick(preset="best", best={"members": 3}), (start.objective,))
    assert "members" not in fixed.default()
    result = tune(one, folds, tmp_path, trials=2)
    again = TrainConfig.load(tmp_path / "best.toml")
    assert again.preset == "best"
    assert again.runs[0].told_parameters()["score_normalization"] is False
    assert again.members == result.best_config.members
