"""`rankwright predict`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ranking.data.letor import read_letor
from ranking.data.parquet import write_parquet
from ranking.models.loading import load_ranker
from ranking.models.ranker import score_dataset
from ranking.training.run import train
from tests.ranking.cli.conftest import Cli
from tests.ranking.training.runs import lists, quick


def scores_of(model: Path, judged: Path) -> np.ndarray:
    return score_dataset(load_ranker(model, probe=False), read_letor(judged))


def test_predict_prints_a_score_a_row(cli: Cli, model: Path, judged: Path) -> None:
    ran = cli("predict", model, judged)
    assert ran.code == 0
    assert [np.float32(line) for line in ran.out.splitlines()] == scores_of(model, judged).tolist()


def test_predict_reads_stdin(cli: Cli, model: Path, judged: Path) -> None:
    assert cli("predict", model, "-", stdin=judged.read_bytes()).out == cli("predict", model, judged).out


def test_predict_writes_a_run_or_json_lines(cli: Cli, tmp_path: Path, model: Path, judged: Path) -> None:
    data = read_letor(judged)
    run = cli("predict", model, judged, "--format", "trec").out.splitlines()
    assert len(run) == data.document_count
    assert run[0].split()[:2] == ["q0", "Q0"]
    assert run[0].split()[3] == "1"
    assert cli("predict", model, judged, "--format", "jsonl", "--output", tmp_path / "out.jsonl").out == ""
    objects = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [one["query"] for one in objects] == list(data.query_ids)
    best = objects[0]["results"][0]
    assert best["score"] == scores_of(model, judged)[: data.offsets[1]].max()


def test_predict_json_is_one_object(cli: Cli, tmp_path: Path, model: Path, judged: Path) -> None:
    """With the scores, or with the file they were written to."""
    found = cli("predict", model, judged, "--json").json
    assert found["queries"] == 40
    assert found["scores"] == scores_of(model, judged).tolist()
    file = tmp_path / "scores.txt"
    assert cli("predict", model, judged, "--json", "--output", file).json["output"] == str(file)
    assert len(file.read_text().splitlines()) == found["documents"]


def test_predict_refuses_a_format_it_does_not_know(cli: Cli, model: Path, judged: Path) -> None:
    ran = cli("predict", model, judged, "--format", "csv")
    assert (ran.code, ran.out) == (2, "")
    assert "unknown format 'csv' (known: jsonl, scores, trec)" in ran.err


def test_rows_of_a_query_that_comes_twice_are_refused_or_regrouped(
    cli: Cli, tmp_path: Path, model: Path
) -> None:
    data = tmp_path / "twice.txt"
    data.write_text("1 qid:a 1:1\n0 qid:b 1:2\n0 qid:a 1:3\n")
    ran = cli("predict", model, data)
    assert ran.code == 4
    assert f"{data}:3:" in ran.err
    assert len(cli("predict", model, data, "--regroup").out.splitlines()) == 3


def test_parquet_columns_in_another_order_are_refused(cli: Cli, tmp_path: Path) -> None:
    names = ["bm25", "age", "clicks", "length"]
    folder = train(quick(rounds=2), replace(lists(), feature_names=names), None, tmp_path / "model").folder
    write_parquet(replace(lists(), feature_names=names[::-1]), tmp_path / "data.parquet")
    ran = cli("predict", folder, tmp_path / "data.parquet")
    assert (ran.code, ran.out) == (4, "")
    assert "feature 1 of the data is 'length' where 'bm25' is expected" in ran.err


def test_two_models_are_measured_alike_and_the_other_s_conventions_are_said(
    cli: Cli, tmp_path: Path, model: Path, judged: Path
) -> None:
    linear = train(quick(gain="linear", rounds=3), lists(), None, tmp_path / "linear").folder
    ran = cli("evaluate", linear, judged, "--against", model, "--metric", "ndcg@10", "--json")
    assert ran.json["conventions"]["gain"] == "linear"
    assert f"note: {model} was measured with gain=exponential; here both are with gain=linear" in ran.err
    alone = cli("evaluate", model, judged, "--gain", "linear", "--metric", "ndcg@10", "--json").json
    compared = ran.json["comparison"]["metrics"]["ndcg@10"]["difference"]
    assert compared == pytest.approx(ran.json["metrics"]["ndcg@10"] - alone["metrics"]["ndcg@10"], abs=1e-12)
