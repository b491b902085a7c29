"""Parquet: round trips, what is not Parquet, and the extra that may be missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from ranking.data import parquet as tables
from ranking.data.dataset import RankingDataset
from ranking.data.parquet import is_parquet, read_parquet, write_parquet
from ranking.errors import DataError, MissingExtraError
from tests.lists import random_lists


def lists() -> RankingDataset:
    data = random_lists(queries=4)
    return replace(
        data,
        features=np.where(data.features > 1, np.nan, data.features),
        document_ids=[f"d{row}" for row in range(data.document_count)],
        feature_names=["bm25", "age", "clicks", "length"],
        weights=np.arange(data.document_count, dtype=np.float32),
        positions=np.concatenate([np.arange(1, size + 1) for size in data.sizes]),
        targets=0.5 - np.arange(data.document_count, dtype=np.float32),
    )


def test_a_file_and_back_is_the_same_data(tmp_path: Path) -> None:
    data = lists()
    write_parquet(data, tmp_path / "data.parquet")
    back = read_parquet([tmp_path / "data.parquet"])
    assert back.fingerprint() == data.fingerprint()
    assert back.document_ids == data.document_ids
    assert back.feature_names == data.feature_names
    assert back.positions is not None
    np.testing.assert_array_equal(back.positions, data.positions)
    np.testing.assert_array_equal(back.lessons, data.lessons)


def test_several_files_are_read_in_order(tmp_path: Path) -> None:
    data = replace(lists(), weights=None)
    files = [tmp_path / "a.parquet", tmp_path / "b.pq"]
    write_parquet(data.queries([0, 1]), files[0])
    write_parquet(data.queries([2, 3]), files[1])
    assert read_parquet(files).fingerprint() == data.fingerprint()


def parts(folder: Path, *columns: dict[str, Any]) -> list[Path]:
    """Files p1.parquet, p2.parquet, ... of one query each; `columns` are those beside qid and label."""
    files = []
    for number, some in enumerate(columns, 1):
        files.append(folder / f"p{number}.parquet")
        parquet.write_table(pa.table({"qid": [f"q{number}"] * 2, "label": [1, 0], **some}), files[-1])
    return files


def test_parts_may_have_their_columns_in_any_order(tmp_path: Path) -> None:
    """Values go by name; whole numbers, floats, truth values and nulls are all numbers."""
    one, two = {"a": [1, 2], "b": [0.5, None]}, {"b": [True, None], "a": [7.5, 8.0]}
    data = read_parquet(parts(tmp_path, one, two, {"b": [None, None], "a": [9, 10]}))
    assert data.feature_names == ["a", "b"]
    np.testing.assert_array_equal(data.features[:, 0], [1, 2, 7.5, 8, 9, 10])
    np.testing.assert_array_equal(data.features[:, 1], [0.5, np.nan, 1, np.nan, np.nan, np.nan])


def test_ids_are_those_of_each_part_alone(tmp_path: Path) -> None:
    """Nulls in one part, and unsigned numbers beside signed ones, turn no id of another into a float."""
    one: dict[str, Any] = {
        "qid": [np.uint64(2**63 + 1)] * 2,
        "document": [2**53 + 1, None],
        "a": [1, 2],
    }
    two: dict[str, Any] = {"qid": [-1, -1], "document": [8, 9], "a": [3, 4]}
    files = parts(tmp_path, one, two, {"qid": [5, 5], "document": [None, None], "a": [5, 6]})
    data = read_parquet(files)
    assert list(data.query_ids) == ["9223372036854775809", "-1", "5"]
    assert data.document_ids == ["9007199254740993", "", "8", "9", "", ""]
    assert read_parquet(files[:1]).document_ids == ["9007199254740993", ""]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            [{"num": [1, 2]}, {"Num": [3, 4]}],
            r"p1.parquet has the column 'num', \S*p2.parquet does not \(\S*p2.parquet has 'Num': is that the "
            r"same\?\); \S*p2.parquet has the column 'Num', \S*p1.parquet does not \(\S*p1.parquet has 'num'",
        ),
        (
            [{"price": [1, 2]}, {"prize": [3, 4]}],
            r"p2.parquet does not \(\S*p2.parquet has 'prize'",
        ),
        (
            [{"a": [1, 2], "b": [1, 2]}, {"a": [3, 4]}, {"a": [3, 4], "b": [1, 2]}],
            r"p1.parquet, \S*p3.parquet has the column 'b', \S*p2.parquet does not\. Rename or add",
        ),
        ([{"a": [1, 2]}, {"a": [1, 2], "weight": [1, 1]}], r"p2.parquet has the column 'weight', \S*p1"),
        (
            [{"a": [1, 2]}, {"a": ["3", "4"]}],
            r"column 'a' holds numbers in \S*p1.parquet and text in \S*p2.parquet: write it with one type",
        ),
        (
            [{"qid": [7, 7], "a": [1, 2]}, {"qid": [8.0, 8.0], "a": [1, 2]}],
            r"column 'qid' holds whole numbers in \S*p1.parquet and floating-point numbers in \S*p2.parquet",
        ),
    ],
)
def test_parts_of_different_columns_are_refused_by_part_and_column(
    tmp_path: Path, columns: list[dict[str, Any]], message: str
) -> None:
    """Joined by name they would hold values that are in no file."""
    with pytest.raises(DataError, match=message):
        read_parquet(parts(tmp_path, *columns))


def test_null_is_missing_or_zero_by_the_policy(tmp_path: Path) -> None:
    write_parquet(lists(), tmp_path / "data.parquet")
    zero = read_parquet([tmp_path / "data.parquet"], missing="zero")
    np.testing.assert_array_equal(zero.features, np.nan_to_num(lists().features))


def test_rows_that_are_not_contiguous_are_refused_or_regrouped(tmp_path: Path) -> None:
    file = tmp_path / "data.parquet"
    pd.DataFrame({"qid": ["a", "b", "a"], "label": [0, 1, 2], "x": [1.0, 2.0, 3.0]}).to_parquet(file)
    with pytest.raises(DataError, match=r"data.parquet: row 2: query 'a' was already closed"):
        read_parquet([file])
    assert read_parquet([file], regroup=True).labels.tolist() == [0, 2, 1]


def test_a_suffix_says_that_it_is_parquet() -> None:
    assert [is_parquet(name) for name in ("a.parquet", Path("a.pq"), "a.txt", "-")] == [
        True,
        True,
        False,
        False,
    ]


def test_what_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.parquet: no such file"):
        read_parquet([tmp_path / "none.parquet"])
    (tmp_path / "text.parquet").write_text("1 qid:1 1:2\n")
    with pytest.raises(DataError, match=r"text.parquet is not Parquet"):
        read_parquet([tmp_path / "text.parquet"])
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "plain.parquet")
    with pytest.raises(DataError, match=r"plain.parquet: no column 'label' in the frame; it has: x"):
        read_parquet([tmp_path / "plain.parquet"])
    with pytest.raises(DataError, match=r"cannot write .*data.parquet"):
        write_parquet(lists(), tmp_path / "missing" / "data.parquet")
    with pytest.raises(DataError, match=r"cannot write .*: .*label"):
        write_parquet(replace(lists(), feature_names=["label", "a", "b", "c"]), tmp_path / "twice.parquet")


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "find_spec", lambda name: None)
    for use in (lambda: read_parquet(["a.parquet"]), lambda: write_parquet(lists(), tmp_path / "a.parquet")):
        with pytest.raises(MissingExtraError, match=r"pip install 'rankwright\[parquet\]'"):
            use()
