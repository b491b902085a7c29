"""`rankwright evaluate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ranking.data.letor import read_letor
from ranking.metrics import Metric
from ranking.models.loading import load_ranker
from ranking.models.ranker import score_dataset
from ranking.training.run import train
from tests.ranking.cli.conftest import Cli
from tests.ranking.training.runs import letor, lists, quick


def scores_of(model: Path, judged: Path) -> np.ndarray:
    return score_dataset(load_ranker(model, probe=False), read_letor(judged))


def test_evaluate_json_holds_the_numbers_and_what_they_mean(cli: Cli, model: Path, judged: Path) -> None:
    found = cli("evaluate", model, judged, "--metric", "ndcg@10", "--metric", "map", "--json").json
    data = read_letor(judged)
    assert (found["queries"], found["documents"]) == (data.query_count, data.document_count)
    assert found["metrics"].keys() == found["intervals"].keys() == {"ndcg@10", "map"}
    expected = Metric.parse("ndcg@10").mean(scores_of(model, judged), data)
    assert found["metrics"]["ndcg@10"] == expected
    low, high = found["intervals"]["ndcg@10"]
    assert low < expected < high
    assert found["conventions"]["gain"] == "exponential"
    assert found["conventions"]["empty"] == "zero"
    assert "comparison" not in found
    assert found["baseline"]["system"] == "1 alone"
    assert found["baseline"]["metrics"]["ndcg@10"] < expected


def test_conventions_change_the_numbers_and_are_stated(cli: Cli, model: Path, judged: Path) -> None:
    plain = cli("evaluate", model, judged, "--json").json
    options = {"empty": "skip", "ties": "pessimistic", "gain": "linear", "discount": "reciprocal"}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    found = cli("evaluate", model, judged, *words, "--json").json
    assert {name: found["conventions"][name] for name in options} == options
    assert found["metrics"]["ndcg@10"] != plain["metrics"]["ndcg@10"]
    data = read_letor(judged)
    assert found["metrics"]["ndcg@10"] == Metric.parse("ndcg@10", **options).mean(
        scores_of(model, judged), data
    )


def test_evaluate_against_another_model_compares_query_by_query(
    cli: Cli, trained: dict[str, Path], judged: Path
) -> None:
    ours, other = trained["lightgbm"], trained["xgboost"]
    found = cli("evaluate", ours, judged, "--against", other, "--json").json
    assert found["comparison"]["against"] == str(other)
    compared = found["comparison"]["metrics"]["ndcg@10"]
    theirs = cli("evaluate", other, judged, "--json").json["metrics"]["ndcg@10"]
    assert compared["difference"] == pytest.approx(found["metrics"]["ndcg@10"] - theirs)
    assert compared["wins"] + compared["ties"] + compared["losses"] == 40
    assert 0 < compared["p"] <= compared["p_holm"] <= 1
    text = cli("evaluate", ours, judged, "--against", other).out
    assert f"against {other}, paired over queries" in text
    assert "won/tied/lost" in text
    assert "conventions: gain=exponential" in text


def test_a_model_against_itself_is_no_different(cli: Cli, model: Path, judged: Path) -> None:
    compared = cli("evaluate", model, judged, "--against", model, "--json").json["comparison"]["metrics"]
    assert [(one["difference"], one["p"], one["ties"]) for one in compared.values()] == [(0, 1, 40)] * 6


def test_models_that_read_absent_features_differently_are_not_compared(
    cli: Cli, tmp_path: Path, model: Path, judged: Path
) -> None:
    other = train(quick(missing="nan"), lists(), None, tmp_path / "nan").folder
    ran = cli("evaluate", model, judged, "--against", other, "--json")
    assert (ran.code, ran.out) == (2, "")
    assert "(missing=zero and nan): evaluate each on its own" in ran.err


def test_narrower_data_is_filled_and_wider_data_refused(cli: Cli, tmp_path: Path, model: Path) -> None:
    data = lists(seed=1)
    narrow = letor(tmp_path / "narrow.txt", replace(data, features=data.features[:, :3]))
    zeros = data.features.copy()
    zeros[:, 3] = 0
    filled = letor(tmp_path / "zeros.txt", replace(data, features=zeros))
    assert cli("evaluate", model, narrow, "--json").json == cli("evaluate", model, filled, "--json").json
    wide = letor(tmp_path / "wide.txt", replace(data, features=np.tile(data.features, 2)))
    for command in ("evaluate", "predict"):
        ran = cli(command, model, wide, "--json")
        assert (ran.code, ran.out) == (4, "")
        assert "the data has 8 features, the model was trained on 4" in ran.err


def test_queries_that_the_model_was_trained_on_are_said(
    cli: Cli, tmp_path: Path, model: Path, judged: Path
) -> None:
    """A fifth of the file was held out: 32 of its 40 queries were trained on, 8 stopped the training."""
    ran = cli("evaluate", model, letor(tmp_path / "train.txt"), "--json")
    trained, stopped = ran.json["warnings"]
    assert trained.startswith(
        "the model was trained on 32 of these 40 queries (the same features and labels)"
    )
    assert stopped.startswith("the model's training was stopped by 8 of these 40 queries")
    assert f"warning: {trained}\n" in ran.err
    ran = cli("evaluate", model, judged, "--against", model, "--json")
    assert "warnings" not in ran.json
    assert ran.err == ""


def test_values_of_each_query_are_written_where_asked(
    cli: Cli, tmp_path: Path, model: Path, judged: Path
) -> None:
    file = tmp_path / "values.tsv"
    cli("evaluate", model, judged, "--metric", "map", "--metric", "mrr@10", "--per-query", file)
    header, *rows = [line.split("\t") for line in file.read_text().splitlines()]
    assert header == ["query", "map", "mrr@10"]
    data = read_letor(judged)
    assert [row[0] for row in rows] == list(data.query_ids)
    expected = Metric.parse("map").per_query(scores_of(model, judged), data)
    assert [float(row[1]) for row in rows] == expected.tolist()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--metric", "ngcd@10"], 2, "unknown metric 'ngcd@10'"),
        (["--metric", "precision"], 2, "precision needs a cutoff: write precision@10"),
        (["--ties", "avg"], 2, "unknown rule for ties 'avg'"),
        (["--against", "nowhere"], 4, "nowhere is no model folder"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    cli: Cli, model: Path, judged: Path, words: list[str], code: int, message: str
) -> None:
    ran = cli("evaluate", model, judged, *words, "--json")
    assert (ran.code, ran.out) == (code, "")
    assert message in ran.err


def test_a_damaged_model_is_not_evaluated(cli: Cli, tmp_path: Path, judged: Path) -> None:
    folder = train(quick(rounds=2), lists(), None, tmp_path / "model").folder
    (folder / "model.txt").write_bytes((folder / "model.txt").read_bytes() + b"\n")
    ran = cli("evaluate", folder, judged, "--json")
    assert (ran.code, ran.out) == (4, "")
    assert "model.txt: the manifest says" in ran.err
