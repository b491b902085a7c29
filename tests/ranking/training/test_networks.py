"""Runs of several networks and a teacher: what is tried, what is kept, what a kill or a failure leaves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranking.training.networks
import ranking.training.watch
from ranking.errors import DataError, UsageError
from ranking.metrics import Metric
from ranking.models.ranker import score_dataset, spread_within_lists
from ranking.training.checkpoint import folder_for
from ranking.training.config import TrainConfig
from ranking.training.networks import train_networks
from ranking.training.run import TrainResult, train
from tests.lists import one_list, random_lists
from tests.ranking.training.runs import contents

NDCG = Metric.parse("ndcg@10")


def lists(seed: int = 0, queries: int = 60, **more: Any) -> Any:
    return random_lists(queries=queries, seed=seed, features=4, **more)


def quick(**changes: Any) -> TrainConfig:
    table = {"hidden": [16, 8], "batch_queries": 16, "rate": 0.01} | changes.pop("neural", {})
    plain = {"rounds": 4, "early_stopping": 0, "threads": 1, "checkpoint_seconds": 0}
    return TrainConfig(**(plain | {"backend": "neural", "neural": table} | changes))


def run(out: Path, config: TrainConfig | None = None, **more: Any) -> TrainResult:
    return train(config or quick(), lists(), lists(seed=1), out, **more)


def manifest(folder: Path) -> Any:
    return json.loads((folder / "manifest.json").read_text())


@pytest.fixture(autouse=True)
def small_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """The teacher of these few lists: trees of few documents, and not many of them."""

    def small(**settings: Any) -> TrainConfig:
        if settings["backend"] != "neural":
            few = {"min_data_in_leaf": 5} if settings["backend"] == "lightgbm" else {"min_child_weight": 1}
            settings |= {"rounds": 12, "booster": few}
        return TrainConfig(**settings)

    monkeypatch.setattr(ranking.training.networks, "TrainConfig", small)


def test_the_better_of_the_inputs_is_kept(tmp_path: Path) -> None:
    result = run(tmp_path / "m")
    told = manifest(tmp_path / "m")
    values = {one["inputs"]: one["metrics"]["valid"]["ndcg@10"] for one in told["tried"]}
    assert list(values) == ["quantile", "encoded"]
    best = max(values, key=lambda form: values[form])
    assert told["config"]["neural"]["inputs"] == best
    assert told["metrics"]["valid"]["ndcg@10"] == pytest.approx(values[best], abs=1e-6)
    assert any(f"kept inputs {best}" in note and "quantile 0." in note for note in result.notes)
    alone = run(tmp_path / "alone", quick(neural={"inputs": best}))
    np.testing.assert_array_equal(
        score_dataset(alone.ranker, lists(seed=2)), score_dataset(result.ranker, lists(seed=2))
    )
    assert "tried" not in manifest(tmp_path / "alone")


def test_without_held_out_lists_there_is_nothing_to_choose_by() -> None:
    for teacher, form in (("auto", "encoded"), (None, "quantile")):
        found = train_networks(quick(neural={"teacher": teacher}), lists(), None)
        assert [one.config.network.inputs for one in found.tried] == [form]


def test_it_comes_near_its_teacher_and_says_so(tmp_path: Path) -> None:
    result = run(tmp_path / "m", quick(rounds=12, neural={"inputs": "encoded"}))
    told = manifest(tmp_path / "m")
    assert told["taught_by"]["backend"] == "lightgbm"
    assert told["taught_by"]["rounds"] > 0
    assert told["config"]["neural"]["teacher"] == "lightgbm"
    assert any("50% of what the network learns are the scores of a lightgbm model" in n for n in result.notes)
    distances = [epoch["teacher_distance"] for epoch in told["audit"]["epochs"]]
    assert distances[-1] < 0.5 * distances[0]
    page = (tmp_path / "m" / "report.html").read_text()
    for line in ("its teacher", "squared distance to the teacher", "active pairs"):
        assert line in page


def test_the_scores_that_are_learned_have_deviation_1(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    trained = ranking.training.networks.train_single

    def noting(*parts: Any, teacher: Any, **more: Any) -> Any:
        seen.append(teacher)
        return trained(*parts, teacher=teacher, **more)

    monkeypatch.setattr(ranking.training.networks, "train_single", noting)
    found = train_networks(quick(neural={"inputs": "quantile"}), lists(), lists(seed=1))
    assert seen[0] is None
    assert spread_within_lists(seen[1], lists().sizes) == pytest.approx(1, abs=1e-6)
    assert found.teacher is not None
    raw = score_dataset(found.teacher.ranker, lists())
    assert np.corrcoef(raw, seen[1])[0, 1] == pytest.approx(1)


@pytest.mark.parametrize("asked", ["auto", "xgboost", None])
def test_who_teaches(asked: str | None) -> None:
    found = train_networks(quick(rounds=1, neural={"teacher": asked, "inputs": "quantile"}), lists(), None)
    name = None if found.teacher is None else found.teacher.config.backend
    assert name == {"auto": "lightgbm"}.get(asked or "", asked)
    assert found.kept.config.network.teacher == name


def test_a_machine_without_lightgbm_takes_another_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    for installed, name in ((("xgboost",), "xgboost"), ((), None)):
        monkeypatch.setattr(
            ranking.training.networks,
            "find_spec",
            lambda asked, installed=installed: asked in installed or None,
        )
        found = train_networks(quick(rounds=1), lists(), None)
        assert found.kept.config.network.teacher == name


def test_a_run_that_learns_a_teachers_scores_has_no_other_teacher(tmp_path: Path) -> None:
    data = lists()
    taught = replace(data, targets=np.asarray(data.features[:, 0]))
    config = quick(objective="margin_mse", neural={"inputs": "quantile"})
    assert train_networks(config, taught, None).teacher is None
    with pytest.raises(UsageError, match=r"neural\.teacher=lightgbm is learned beside labels"):
        train_networks(quick(objective="margin_mse", neural={"teacher": "lightgbm"}), taught, None)
    teacher = run(tmp_path / "a", quick(rounds=1, neural={"inputs": "quantile", "teacher": None})).ranker
    graded = quick(objective="softmax", rounds=1, neural={"inputs": "quantile"})
    run(tmp_path / "b", graded, teacher=teacher)
    assert "taught_by" not in manifest(tmp_path / "b")


def test_trees_that_find_nothing_teach_nothing() -> None:
    """Three documents: no leaf of five can be cut off."""
    few = one_list([0.0, 2.0, 1.0])
    found = train_networks(quick(rounds=1, neural={"inputs": "quantile"}), few, None)
    assert found.teacher is None
    assert any("the network has no teacher: LightGBM finds no feature" in note for note in found.notes)
    with pytest.raises(DataError, match="no feature to split"):
        train_networks(quick(rounds=1, neural={"teacher": "lightgbm"}), few, None)


# --- Kills and failures -------------------------------------------------------------------------------


@pytest.mark.parametrize("kill", [("lightgbm", 5), ("neural", 2), ("encoded", 2)])
def test_a_run_that_was_killed_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill: tuple[str, int]
) -> None:
    """Killed in the teacher, in the first network, in the second one."""
    run(tmp_path / "whole")
    where, at = kill
    kept = ranking.training.watch.RunWatch.__call__

    def killed(self: Any, rounds: int, *more: Any) -> bool:
        ended = kept(self, rounds, *more)
        config = self._config
        names = (config.backend, config.network.inputs if config.backend == "neural" else "")
        if where in names and rounds == at:
            raise KeyboardInterrupt
        return ended

    monkeypatch.setattr(ranking.training.watch.RunWatch, "__call__", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut")
    monkeypatch.undo()
    small = {"lightgbm": 12}
    monkeypatch.setattr(
        ranking.training.networks,
        "TrainConfig",
        lambda **s: TrainConfig(**s, rounds=small[s["backend"]], booster={"min_data_in_leaf": 5}),
    )
    result = run(tmp_path / "cut", resume=True)
    told = {
        "lightgbm": "the teacher: resumed after round 5",
        "neural": "inputs quantile: resumed after round 2",
        "encoded": "inputs encoded: resumed after round 2",
    }
    assert told[where] in result.notes
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    assert not folder_for(tmp_path / "cut").exists()


def test_an_interruption_keeps_what_there_is(tmp_path: Path) -> None:
    """After the first network's second epoch: the second network is not begun; --resume trains it."""

    def interrupting(done: int, of: int, value: Any, left: Any, words: str = "") -> None:
        if words.startswith("inputs quantile") and done == 2:
            import signal

            signal.raise_signal(signal.SIGINT)

    result = run(tmp_path / "m", progress=interrupting)
    assert result.interrupted
    assert result.rounds <= 2
    assert "tried" not in manifest(tmp_path / "m")
    run(tmp_path / "m", resume=True)
    run(tmp_path / "whole")
    assert contents(tmp_path / "m") == contents(tmp_path / "whole")


def test_an_interruption_of_the_teacher_leaves_a_network_too(tmp_path: Path) -> None:
    def interrupting(done: int, of: int, value: Any, left: Any, words: str = "") -> None:
        if words.startswith("teacher") and done == 3:
            import signal

            signal.raise_signal(signal.SIGINT)

    result = run(tmp_path / "m", progress=interrupting)
    assert result.interrupted
    assert result.rounds == 1
    run(tmp_path / "m", resume=True)
    run(tmp_path / "whole")
    assert contents(tmp_path / "m") == contents(tmp_path / "whole")


BREAKS = """
import torch
calls = []
def loss(scores, labels, where):
    calls.append(0)
    value = torch.where(where, (scores - labels) ** 2, 0.0).sum(-1)
    return value * float("nan") if len(calls) > {good} else value
"""


def test_a_loss_that_breaks_loses_nothing(tmp_path: Path) -> None:
    """Four steps an epoch: the third epoch's second step gives no number."""
    file = tmp_path / "bad.py"
    file.write_text(BREAKS.format(good=9))
    result = run(tmp_path / "m", quick(objective=str(file), neural={"inputs": "quantile", "teacher": None}))
    assert result.failure is not None
    assert result.failure.startswith("epoch 3, batch 2 of 4 (16 lists from query q")
    assert "the loss is nan; the scores are numbers" in result.failure
    assert result.interrupted
    assert manifest(tmp_path / "m")["rounds_trained"] == 2
    state = json.loads((folder_for(tmp_path / "m") / "part-inputs-quantile" / "state.json").read_text())
    assert state["rounds"] == 2


def test_a_batch_that_memory_does_not_hold_is_named(tmp_path: Path) -> None:
    file = tmp_path / "huge.py"
    file.write_text(
        "import torch\n"
        "def loss(scores, labels, where):\n"
        "    return scores.sum(-1) + torch.zeros(1 << 50).sum()\n"
    )
    config = quick(objective=str(file), neural={"inputs": "quantile", "teacher": None})
    with pytest.raises(DataError, match=r"epoch 1, batch 1 of 4 .*memory does not hold it .*batch_queries"):
        train_networks(config, lists(), None)


def test_steps_too_large_are_said_to_be() -> None:
    """Weights times 1 - 10 · 10 a step: past float32 within the first epochs."""
    steps = {"rate": 10.0, "weight_decay": 10.0, "warm_up": 0.0, "batch_queries": 1}
    config = quick(neural={"inputs": "quantile", "teacher": None, **steps})
    with pytest.raises(
        DataError,
        match=r"the (loss|gradient) is nan; the scores are up to .* steps too large: lower neural\.rate",
    ):
        train_networks(config, lists(), None)


def test_a_list_too_long_for_attention_is_refused_before_training() -> None:
    long = one_list([float(n % 3) for n in range(5000)])
    with pytest.raises(
        DataError, match="has 5000 documents, and a network with attention takes at most 4096"
    ):
        train_networks(quick(neural={"architecture": "attention", "heads": 2, "teacher": None}), long, None)
