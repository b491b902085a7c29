"""A third booster and another kind of ranker are one file and one row each (`tests.toys`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest

from ranking.data.letor import write_letor
from ranking.errors import UsageError
from ranking.models.folder import save_artifact
from ranking.models.kinds import KINDS, open_model, warm_up
from ranking.models.loading import load_ranker
from ranking.models.ranker import score_dataset
from ranking.training.config import TrainConfig
from ranking.training.run import train
from ranking.trees.backends import BACKENDS
from tests.lists import random_lists
from tests.service.server.processes import ROOT, running
from tests.toys import linear, stumps

ROWS = """
from ranking.trees.backends import BACKENDS
from tests.toys import stumps

BACKENDS[stumps.NAME] = stumps.ROW

from ranking.models.kinds import KINDS
from tests.toys import linear

KINDS[linear.NAME] = linear.ROW
"""
"""As if they stood in the tables: run when a Python starts, a child too."""


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, stumps.NAME, stumps.ROW)
    monkeypatch.setitem(KINDS, stumps.NAME, KINDS["lightgbm"])
    monkeypatch.setitem(KINDS, linear.NAME, linear.ROW)


def saved_linear(folder: Path) -> Path:
    weights = np.array([1.0, 0.0, -0.5, 0.0], np.float32)
    ranker = linear.LinearRanker(weights, tuple("abcd"), "zero")
    golden = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    return save_artifact(folder, ranker, facts={"objective": {"name": "by hand"}}, golden=golden)


@pytest.mark.usefixtures("rows")
def test_a_third_booster_trains_resumes_and_scores(tmp_path: Path) -> None:
    """Its own sums and the scorer's are the same; early stopping and the best round are everybody's."""
    data, valid = random_lists(queries=60, features=4), random_lists(queries=30, features=4, seed=1)
    config = TrainConfig(backend=stumps.NAME, rounds=40, early_stopping=5, booster={"rate": 0.2})
    result = train(config, data, valid, tmp_path / "m")
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [
        "golden.npz", "manifest.json", "model.stumps", "report.html",
    ]  # fmt: skip
    ranker = load_ranker(tmp_path / "m", probe=False)
    found = score_dataset(ranker, valid)
    model = json.loads((tmp_path / "m" / "model.stumps").read_bytes())
    assert len(model) == result.rounds
    np.testing.assert_array_equal(found, stumps._scores(model, valid.features).astype(np.float32))
    assert result.evaluation is not None
    assert result.evaluation.means["ndcg@10"] > 0.6


@pytest.mark.usefixtures("rows")
def test_another_kind_opens_by_its_row(tmp_path: Path) -> None:
    ranker = load_ranker(saved_linear(tmp_path / "m"), probe=False)
    assert ranker.kind == "linear"
    warm_up("linear", contributions=True)


def test_without_its_row_it_is_unknown() -> None:
    with pytest.raises(UsageError, match="unknown backend 'stumps'"):
        TrainConfig(backend=stumps.NAME)
    with pytest.raises(UsageError, match="unknown kind of model 'linear'"):
        open_model("linear", b"[]", feature_names=(), missing="zero")


@pytest.mark.slow
def test_both_go_the_whole_way_from_the_command_line(tmp_path: Path) -> None:
    """Trained, verified by a child, evaluated, inspected, served."""
    (tmp_path / "sitecustomize.py").write_text(ROWS)
    environment = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}

    def cli(*arguments: object) -> str:
        command = [sys.executable, "-m", "ranking.cli", *map(str, arguments)]
        ran = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    write_letor(random_lists(queries=60, features=4), tmp_path / "lists.txt")
    cli("train", tmp_path / "lists.txt", "--backend", "stumps", "--rounds", 20, "--out", tmp_path / "stumps")
    saved_linear(tmp_path / "linear")
    for kind, told, exactly, expected in (
        ("stumps", "share of gain", "to the bit", None),
        ("linear", "size of the weight", "to 1e-6", {"2": 2.0, "1": 1.0, "0": 0.0}),
    ):
        model = tmp_path / kind
        assert f"golden rows score the same {exactly}" in cli("verify", model)
        assert 0 < json.loads(cli("evaluate", model, tmp_path / "lists.txt", "--json"))["metrics"]["map"] <= 1
        assert told in cli("inspect", model)
        with running("-m", "service", RANKWRIGHT_MODEL=str(model), RANKWRIGHT_PORT="0", **environment) as (
            _,
            url,
        ):
            candidates = [{"id": str(i), "features": [i, 0, 0, 0]} for i in range(3)]
            reply = httpx.post(f"{url}/v1/rank", json={"candidates": candidates}, timeout=20)
            assert reply.status_code == 200, reply.text
            scores = {one["id"]: one["score"] for one in reply.json()["results"]}
            assert scores.keys() == {"0", "1", "2"}
            assert list(scores.values()) == sorted(scores.values(), reverse=True)
            assert scores == expected or expected is None
