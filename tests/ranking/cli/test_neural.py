"""`rankwright train --backend neural`, teachers, and `rankwright ensemble`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ranking.data.letor import read_letor
from ranking.models.loading import load_ranker
from ranking.models.ranker import score_dataset
from ranking.neural.settings import ARCHITECTURES
from tests.ranking.cli.conftest import Cli
from tests.ranking.training.runs import contents

SMALL = (
    "--backend", "neural", "--rounds", 3, "--threads", 1, "--set", "neural.hidden=8,8",
    "--set", "neural.heads=2", "--early-stopping", 0, "--set", "checkpoint_seconds=0",
    "--set", "neural.teacher=none", "--set", "neural.inputs=quantile",
)  # fmt: skip


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_train_evaluate_and_predict(cli: Cli, tmp_path: Path, judged: Path, architecture: str) -> None:
    out = tmp_path / "model"
    run = ["train", judged, "--valid", judged, "--out", out, *SMALL]
    found = cli(*run, "--set", f"neural.architecture={architecture}", "--json").json
    assert (found["backend"], found["objective"], found["rounds"] <= 3) == ("neural", "softmax", True)
    value = found["metrics"]["valid"]["ndcg@10"]
    evaluated = cli("evaluate", out, judged, "--metric", "ndcg@10", "--json").json
    assert evaluated["metrics"]["ndcg@10"] == pytest.approx(value, abs=1e-6)
    assert cli("verify", out).code == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["kind"] == "neural"
    assert manifest["config"]["neural"]["architecture"] == architecture
    assert len(manifest["audit"]["epochs"]) == 3
    again = tmp_path / "again"
    cli(
        "train",
        judged,
        "--valid",
        judged,
        "--out",
        again,
        *SMALL,
        "--set",
        f"neural.architecture={architecture}",
    )
    assert contents(again)["model.safetensors"] == contents(out)["model.safetensors"]


def test_the_usual_network_says_what_it_learned_from(cli: Cli, tmp_path: Path, judged: Path) -> None:
    """A teacher, two forms of inputs: told on stderr, and opened and served like any other."""
    out = tmp_path / "model"
    ran = cli("train", judged, "--out", out, "--backend", "neural", "--rounds", 2, "--threads", 1)
    assert ran.code == 0, ran.err
    assert "note: kept inputs" in ran.err
    assert "note: 50% of what the network learns" in ran.err or "note: the network has no teacher" in ran.err
    assert cli("verify", out).code == 0
    told = cli("inspect", out, "--json").json
    assert told["config"]["neural"]["inputs"] in ("quantile", "encoded")


def test_a_training_that_breaks_ends_with_what_there_is(cli: Cli, tmp_path: Path, judged: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text(
        "calls = []\n"
        "def loss(scores, labels, where):\n"
        "    calls.append(0)\n"
        "    return (scores * labels).sum(-1) * (float('nan') if len(calls) > 50 else 1)\n"
    )
    out = tmp_path / "model"
    ran = cli("train", judged, "--out", out, *SMALL, "--rounds", 1000, "--objective", file)
    assert ran.code == 4
    assert "the training could not go on: epoch" in ran.err
    assert "for --resume" in ran.err
    assert cli("verify", out).code == 0


def test_a_pair_loss_and_a_weight_train_together(cli: Cli, tmp_path: Path, judged: Path) -> None:
    out = tmp_path / "model"
    ran = cli("train", judged, "--out", out, *SMALL, "--objective", "hinge", "--set", "objective.metric=map")
    assert ran.code == 0, ran.err
    told = json.loads((out / "manifest.json").read_text())["objective"]
    assert (told["name"], told["weight"], told["metric"]) == ("hinge", "metric", "map")


def test_clicks_need_positions(cli: Cli, tmp_path: Path, judged: Path) -> None:
    """Nothing is trained as if clicks were judgements; in the order of rows it is trained."""
    run = ["train", judged, "--out", tmp_path / "m", *SMALL, "--objective", "hinge", "--set"]
    refused = cli(*run, "objective.propensities=1,0.5,0.2")
    assert refused.code == 4
    assert "objective.positions=rows" in refused.err
    few = cli(*run, "objective.propensities=1,0.5", "--set", "objective.positions=rows")
    assert "propensities are given for 2 positions" in few.err


def test_progress_and_result_speak_of_epochs(cli: Cli, tmp_path: Path, judged: Path) -> None:
    ran = cli("train", judged, "--out", tmp_path / "model", *SMALL)
    assert "round 3/3  ndcg@10 0." in ran.err
    assert ran.out.startswith("neural softmax: ")
    assert "epochs in" in ran.out
    assert "audit  active pairs: " in ran.out


def test_a_collapse_is_told(cli: Cli, tmp_path: Path, judged: Path) -> None:
    """Nothing but decay: the weights go to zero."""
    decayed = ["--set", "neural.weight_decay=10", "--set", "neural.rate=0.1", "--set", "neural.warm_up=0"]
    labels = tmp_path / "equal.txt"
    labels.write_text("".join(f"1 {line.split(' ', 1)[1]}" for line in judged.read_text().splitlines(True)))
    ran = cli("train", labels, "--valid", judged, "--out", tmp_path / "model", *SMALL, *decayed)
    assert "note: the network has collapsed" in ran.err


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--set", "neural.hiden=8"], "hiden"),
        (["--set", "booster.num_leaves=8"], "a network is set by neural.NAME"),
        (["--set", "neural.heads=3"], "must divide"),
        (["--objective", "lambdrank"], "lambdarank"),
        (["--device", "tpu"], "cuda"),
        (["--device", "cuda"], "finds no GPU"),
    ],
)
def test_what_cannot_be_is_refused_before_data_is_read(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], told: str
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    small = [*SMALL, "--set", "neural.architecture=attention"]
    ran = cli("train", tmp_path / "absent.txt", "--out", tmp_path / "model", *small, *more)
    assert ran.code == 2
    assert told in ran.err


def test_a_device_is_for_networks(cli: Cli, tmp_path: Path, judged: Path) -> None:
    ran = cli("train", judged, "--out", tmp_path / "model", "--device", "cpu")
    assert ran.code == 2
    assert "--backend neural" in ran.err


@pytest.mark.parametrize("student", ["neural", "lightgbm"])
def test_a_teacher_is_learned_in_place_of_the_labels(
    cli: Cli, tmp_path: Path, judged: Path, model: Path, student: str
) -> None:
    """A network from trees and trees from a network; the manifest says of whom."""
    teacher = model
    if student == "lightgbm":
        teacher = tmp_path / "teacher"
        assert cli("train", judged, "--out", teacher, *SMALL, "--set", "neural.rate=0.01").code == 0
    out = tmp_path / "student"
    more = ["--set", "neural.rate=0.02", "--set", "neural.dropout=0"] if student == "neural" else []
    size = ["--backend", student, "--rounds", 30, "--threads", 1, "--early-stopping", 0]
    assert cli("train", judged, "--out", out, "--teacher", teacher, *size, *more).code == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["objective"]["name"] == "margin_mse"
    assert manifest["teacher"]["kind"] == load_ranker(teacher, probe=False).kind
    data = read_letor(judged)
    taught = score_dataset(load_ranker(teacher, probe=False), data)
    learned = score_dataset(load_ranker(out, probe=False), data)
    assert np.corrcoef(taught, learned)[0, 1] > 0.6


def test_an_ensemble_is_a_model_folder(cli: Cli, tmp_path: Path, judged: Path, model: Path) -> None:
    network, out = tmp_path / "network", tmp_path / "both"
    cli("train", judged, "--out", network, *SMALL)
    found = cli("ensemble", model, network, "--valid", judged, "--out", out, "--json").json
    assert [member["model"] for member in found["members"]] == [str(model), str(network)]
    evaluated = cli("evaluate", out, judged, "--metric", "ndcg@10", "--json").json
    assert evaluated["metrics"]["ndcg@10"] == pytest.approx(found["metrics"]["fitted"]["ndcg@10"], abs=1e-6)
    assert cli("verify", out).code == 0
    refused = cli("ensemble", model, model, "--valid", judged, "--out", tmp_path / "x")
    assert (refused.code, "two different model folders" in refused.err) == (2, True)


_WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from ranking.cli import main
main()
"""


@pytest.mark.parametrize(
    "command",
    [
        ["train", "data.txt", "--out", "model", "--backend", "neural"],
        ["cv", "data.txt", "--backend", "neural"],
        ["losses"],
        ["losses", "check", "softmax"],
        ["train", "data.txt", "--out", "model", "--objective", "torch:list_mle"],
        ["objectives", "check", "torch:list_mle"],
    ],
)
def test_what_needs_torch_says_how_to_get_it(command: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _WITHOUT_TORCH, *command], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 3, ran.stderr
    assert "pip install 'rankwright[neural]'" in ran.stderr
