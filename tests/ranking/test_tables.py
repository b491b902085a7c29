"""Parquet: round trips, what is not Parquet, and the extra that may be missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ranking import tables
from ranking.dataset import RankingDataset
from ranking.errors import DataError, MissingExtraError
from ranking.tables import is_parquet, read_parquet, write_parquet
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


def test_several_files_are_read_in_order(tmp_path: Path) -> None:
    data = replace(lists(), weights=None)
    files = [tmp_path / "a.parquet", tmp_path / "b.pq"]
    write_parquet(data.queries([0, 1]), files[0])
    write_parquet(data.queries([2, 3]), files[1])
    assert read_parquet(files).fingerprint() == data.fingerprint()


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
