"""Scores written out: the order, the ranks and the names of every format."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ranking.data.dataset import RankingDataset
from ranking.data.runs import FORMATS, write_predictions
from ranking.errors import DataError


def lists(**more: object) -> RankingDataset:
    """Query a with three documents, b with two."""
    return RankingDataset(
        features=np.zeros((5, 1), np.float32),
        labels=np.zeros(5, np.float32),
        offsets=np.array([0, 3, 5]),
        query_ids=["a", "b"],
        **more,  # type: ignore[arg-type]  # the fields a test names
    )


SCORES = np.array([0.5, 2.0, 0.5, -1.0, 0.1], np.float32)


def written(form: str, data: RankingDataset) -> list[str]:
    return list(FORMATS[form](SCORES, data))


def test_scores_come_one_a_line_in_the_order_of_the_input() -> None:
    """As many digits as tell one float32 from every other."""
    lines = written("scores", lists())
    assert lines[:4] == ["0.5", "2.0", "0.5", "-1.0"]
    assert [np.float32(line) for line in lines] == SCORES.tolist()


def test_a_run_ranks_each_query_with_equal_scores_in_input_order() -> None:
    data = lists(document_ids=["u", "v", "w", "x", ""])
    assert written("trec", data) == [
        "a Q0 v 1 2.0 rankwright",
        "a Q0 u 2 0.5 rankwright",
        "a Q0 w 3 0.5 rankwright",
        f"b Q0 2 1 {float(SCORES[4])!r} rankwright",
        "b Q0 x 2 -1.0 rankwright",
    ]


def test_json_lines_are_one_object_a_query() -> None:
    """A document without an id is named by its place; `index` is its place from 0."""
    first, second = map(json.loads, written("jsonl", lists()))
    assert first == {
        "query": "a",
        "results": [
            {"id": "2", "index": 1, "rank": 1, "score": 2.0},
            {"id": "1", "index": 0, "rank": 2, "score": 0.5},
            {"id": "3", "index": 2, "rank": 3, "score": 0.5},
        ],
    }
    assert [one["index"] for one in second["results"]] == [1, 0]


def test_ids_leave_with_the_bytes_they_came_with(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    data = lists(document_ids=[b"caf\xe9".decode("utf-8", "surrogateescape"), "größe", "w", "x", "y"])
    write_predictions(SCORES, data, "trec", tmp_path / "run.txt")
    content = (tmp_path / "run.txt").read_bytes()
    assert b"a Q0 caf\xe9 2" in content
    assert content.count(b"\n") == 5
    write_predictions(SCORES, data, "trec", None)
    assert capsysbinary.readouterr().out == content


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot write .*none.run: No such file or directory"):
        write_predictions(SCORES, lists(), "scores", tmp_path / "missing" / "none.run")
