"""`rankwright distil`: a student that scores as its teacher does, on every backend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ranking.data.letor import read_letor
from ranking.models.folder import read_manifest
from ranking.models.loading import load_ranker
from ranking.models.ranker import score_dataset
from ranking.trees.backends import BACKENDS
from tests.ranking.cli.conftest import Cli
from tests.ranking.training.runs import flags, letor, lists, quick


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ranking.training.run import train

    out = tmp_path_factory.mktemp("teacher") / "model"
    return train(quick(rounds=30, missing="nan"), lists(), None, out).folder


def plain(backend: str) -> list[str]:
    return [
        "--backend",
        backend,
        "--preset",
        "plain",
        "--rounds",
        "60",
        "--early-stopping",
        "0",
        "--threads",
        "1",
    ]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_student_of_trees_scores_as_its_teacher(
    cli: Cli, tmp_path: Path, teacher: Path, backend: str
) -> None:
    """Under the missing policy of the teacher, which it is shown beside."""
    data, out = letor(tmp_path / "t.txt"), tmp_path / "student"
    found = cli("distil", teacher, data, "--out", out, "--json", *plain(backend)).json
    assert (found["backend"], found["objective"]) == (backend, "margin_mse")
    manifest = read_manifest(out)
    assert manifest.missing == "nan"
    assert manifest.facts["teacher"]["kind"] == "lightgbm"
    fresh = read_letor(letor(tmp_path / "fresh.txt", lists(seed=5)), missing="nan")
    scores = [score_dataset(load_ranker(folder), fresh) for folder in (teacher, out)]
    assert np.corrcoef(*scores)[0, 1] > 0.9
    assert "compared model" in (out / "report.html").read_text()


def test_a_student_may_be_a_network(cli: Cli, tmp_path: Path, teacher: Path) -> None:
    data, out = letor(tmp_path / "t.txt"), tmp_path / "student"
    small = ("--backend", "neural", "--set", "neural.hidden=16", "--rounds", 4, "--threads", 1)
    found = cli("distil", teacher, data, "--out", out, "--json", *small).json
    assert (found["backend"], read_manifest(out).kind) == ("neural", "neural")


def test_labels_are_not_needed_to_learn_from(cli: Cli, tmp_path: Path, teacher: Path) -> None:
    from dataclasses import replace

    unlabelled = replace(lists(seed=3), labels=np.zeros_like(lists(seed=3).labels))
    data, valid = letor(tmp_path / "t.txt", unlabelled), letor(tmp_path / "v.txt", lists(seed=4))
    ran = cli(
        "distil", teacher, data, "--valid", valid, "--out", tmp_path / "m", "--json", *plain("lightgbm")
    )
    assert ran.json["metrics"]["valid"]["ndcg@10"] > 0.8


def test_what_is_no_model_and_what_learns_from_grades_is_said(
    cli: Cli, tmp_path: Path, teacher: Path
) -> None:
    data = letor(tmp_path / "t.txt")
    ran = cli("distil", tmp_path / "none", data, "--out", tmp_path / "m")
    assert (ran.code, "none is no model folder" in ran.err) == (4, True)
    other = cli("distil", teacher, data, "--out", tmp_path / "m", "--missing", "zero", *flags(quick())[:4])
    assert other.code == 2
    assert "reads absent features as missing=nan" in other.err
