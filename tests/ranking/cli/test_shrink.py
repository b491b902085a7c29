"""`rankwright shrink`."""

from __future__ import annotations

from pathlib import Path

import pytest

from ranking.models.folder import read_manifest
from tests.ranking.cli.conftest import Cli
from tests.ranking.training.runs import ROUNDS


def test_it_says_what_the_smaller_model_is(cli: Cli, model: Path, judged: Path, tmp_path: Path) -> None:
    ran = cli("shrink", model, judged, "--trees", 4, "--out", tmp_path / "small")
    assert (ran.code, ran.err) == (0, "")
    assert f"trees    {ROUNDS} -> 4\n" in ran.out
    assert "ndcg@10  0." in ran.out
    assert "times as fast" in ran.out
    assert "\n4 *           0." in ran.out
    assert "members" not in ran.out


@pytest.mark.parametrize("backend", ["lightgbm", "xgboost"])
def test_its_json_and_that_what_it_writes_verifies(
    cli: Cli, trained: dict[str, Path], backend: str, judged: Path, tmp_path: Path
) -> None:
    ran = cli("shrink", trained[backend], judged, "--loss", 0.02, "--out", tmp_path / "small", "--json")
    assert ran.json["trees"]["before"] == ROUNDS
    kept = ran.json["trees"]["after"]
    assert ran.json["metrics"]["after"]["ndcg@10"] >= ran.json["metrics"]["before"]["ndcg@10"] - 0.02
    assert "chosen on these lists: measure the model on others" in ran.err
    assert cli("verify", tmp_path / "small", "--json").json["ok"] is True
    assert cli("inspect", tmp_path / "small", "--json").json["rounds"] == kept
    evaluated = cli("evaluate", tmp_path / "small", judged, "--metric", "ndcg@10", "--json")
    assert evaluated.json["metrics"]["ndcg@10"] == pytest.approx(ran.json["metrics"]["after"]["ndcg@10"])
    assert any("number of trees was chosen on" in warning for warning in evaluated.json["warnings"])
    assert read_manifest(tmp_path / "small").facts["shrunk_from"]["trees"]["after"] == kept


def test_a_cut_must_say_how_far(cli: Cli, model: Path, judged: Path, tmp_path: Path) -> None:
    ran = cli("shrink", model, judged, "--out", tmp_path / "small")
    assert (ran.code, ran.out) == (2, "")
    assert "either by the number of trees, or by the loss" in ran.err


def test_another_metric_and_its_place_in_the_words(
    cli: Cli, model: Path, judged: Path, tmp_path: Path
) -> None:
    out = tmp_path / "small"
    assert "mrr@10   " in cli("shrink", model, judged, "--trees", 2, "--metric", "mrr@10", "--out", out).out
