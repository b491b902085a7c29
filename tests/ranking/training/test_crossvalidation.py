"""Cross-validation: how folds are made, which part each plays, and what is averaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ranking.data.dataset import RankingDataset
from ranking.errors import DataError, UsageError
from ranking.metrics import Metric
from ranking.metrics.evaluation import evaluate_scores
from ranking.models.ranker import score_dataset
from ranking.training.crossvalidation import Folds, cross_validate, folds_from
from ranking.training.run import fit
from tests.ranking.training.runs import lists, quick


def named(name: str, queries: int, seed: int = 0) -> RankingDataset:
    data = lists(seed=seed, queries=queries)
    return replace(data, query_ids=[f"{name}{i}" for i in range(queries)])


def test_a_number_deals_the_queries_evenly_by_the_seed() -> None:
    folds = folds_from([lists(queries=11)], "4", quick())
    assert sorted(np.bincount(folds.fold)) == [2, 3, 3, 3]
    assert folds.count == 4
    np.testing.assert_array_equal(folds.fold, folds_from([lists(queries=11)], "4", quick()).fold)
    assert (folds.fold != folds_from([lists(queries=11)], "4", quick(seed=2)).fold).any()


def test_files_are_the_folds_they_are() -> None:
    folds = folds_from([named("a", 3), named("b", 2), named("c", 4)], "files", quick())
    assert folds.fold.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2]


def test_narrower_files_get_the_width_and_names_of_the_widest() -> None:
    names = ["bm25", "age", "clicks", "length"]
    wide, other = replace(named("a", 3), feature_names=names), named("b", 2)
    narrow = replace(named("c", 4), features=named("c", 4).features[:, :3], feature_names=names[:3])
    dataset = folds_from([other, narrow, wide], "files", quick(missing="nan")).dataset
    assert dataset.feature_names == names
    assert np.isnan(dataset.features[dataset.offsets[2] : dataset.offsets[6], 3]).all()


def test_a_file_says_the_fold_of_each_query(tmp_path: Path) -> None:
    file = tmp_path / "folds.tsv"
    file.write_text("q3\t1\nq0\t2\nq1\t3\nq2\t3\nelsewhere\t1\n")
    assert folds_from([lists(queries=4)], str(file), quick()).fold.tolist() == [1, 2, 2, 0]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("q0\t1\nq1 2\n", DataError, r"folds.tsv:2:1: expected QUERY<TAB>FOLD with folds from 1, got 'q1 2'"),
        ("q0\t0\n", DataError, r"folds.tsv:1:1: expected QUERY<TAB>FOLD"),
        ("q0\tone\n", DataError, r"folds.tsv:1:1: expected QUERY<TAB>FOLD"),
        ("q0\t²\n", DataError, r"folds.tsv:1:1: expected QUERY<TAB>FOLD"),
        ("q0\t99999999999999999999\n", DataError, r"folds.tsv:1:1: expected QUERY<TAB>FOLD"),
        (
            "q0\t1\nq1\t2\nq2\t3\nq1\t2\nq0\t3\n",
            DataError,
            r"folds.tsv:5:1: expected one fold a query, got fold 3 for 'q0', .* into fold 1; leave out one",
        ),
        ("q0\t1\nq1\t2\n", DataError, r"folds.tsv: names no fold for query 'q2' \(2 queries without one\)"),
        ("q0\t1\nq1\t2\nq2\t2\nq3\t2\n", UsageError, r"at least 3 folds .*got queries per fold \[1, 3\]"),
        ("q0\t1\nq1\t2\nq2\t4\nq3\t4\n", UsageError, r"got queries per fold \[1, 1, 0, 2\]"),
    ],
)
def test_a_file_that_names_no_folds_is_refused(
    tmp_path: Path, content: str, error: type[Exception], message: str
) -> None:
    file = tmp_path / "folds.tsv"
    file.write_text(content)
    with pytest.raises(error, match=message):
        folds_from([lists(queries=4)], str(file), quick())


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ("0", "at least 3 folds with queries in each"),
        ("2", "at least 3 folds with queries in each"),
        ("5", "--folds 5 is more than the 4 queries: choose fewer"),
    ],
)
def test_too_few_or_too_many_folds_are_refused(folds: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        folds_from([lists(queries=4)], folds, quick())


def test_folds_that_are_neither_number_nor_file_are_refused() -> None:
    with pytest.raises(UsageError, match=r"--folds takes a number, `files`, or a file; fife: No such file"):
        folds_from([lists(queries=4)], "fife", quick())


def test_a_query_in_two_files_is_refused() -> None:
    with pytest.raises(DataError, match="query id 'q0' stands for two lists"):
        folds_from([lists(), lists(), lists()], "files", quick())


def test_lists_in_two_folds_are_told() -> None:
    """The same lists under other ids; without any nothing is told."""
    again = replace(lists().queries(range(20)), query_ids=[f"x{i}" for i in range(20)])
    config = quick(rounds=2)
    result = cross_validate(config, folds_from([lists(), again, named("c", 20, seed=1)], "files", config))
    (told,) = result.as_json()["warnings"]
    assert told.startswith("40 of 80 queries are in more than one fold under several ids")
    assert cross_validate(config, folds_from([lists()], "3", config)).warnings == ()


def test_each_fold_is_tested_once_and_the_one_before_it_stops_the_training() -> None:
    folds = Folds(lists(queries=4), np.array([0, 1, 2, 3]))
    parts = [tuple(part.query_ids for part in folds.split(test)) for test in range(4)]
    assert parts[0] == (["q1", "q2"], ["q3"], ["q0"])
    assert parts[1] == (["q2", "q3"], ["q0"], ["q1"])
    assert parts[3] == (["q0", "q1"], ["q2"], ["q3"])


def test_the_mean_is_over_folds_of_a_model_trained_on_each() -> None:
    config = quick(rounds=4, metric="map")
    folds = folds_from([lists()], "3", config)
    said: list[str] = []
    result = cross_validate(config, folds, said.append)
    means = []
    for test in range(3):
        rest, valid, tested = folds.split(test)
        scores = score_dataset(fit(config, rest, valid), tested)
        means.append(evaluate_scores(scores, tested, [Metric.parse("map")]).means["map"])
    assert [fold.means["map"] for fold in result.folds] == means
    assert result.means["map"] == pytest.approx(np.mean(means))
    assert said[0] == f"fold 1/3: 4 rounds, map {means[0]:.4f}"
    content = result.as_json()
    assert [fold["queries"] for fold in content["folds"]] == [14, 13, 13]
    assert set(content) == {"folds", "metrics", "conventions"}
