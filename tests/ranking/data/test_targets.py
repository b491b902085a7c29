"""A teacher's scores from a file: read, and what is wrong with it said by its line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from ranking.data.targets import read_targets
from ranking.errors import DataError


def test_one_number_a_row_plain_or_packed(tmp_path: Path) -> None:
    """Of any sign; a last newline is no row."""
    content = b"-1.5\n2e3\n 0.25\n"
    (tmp_path / "t.txt").write_bytes(content)
    (tmp_path / "t.txt.gz").write_bytes(gzip.compress(content))
    for name in ("t.txt", "t.txt.gz"):
        found = read_targets(tmp_path / name, 3)
        assert found.dtype == np.float32
        assert found.tolist() == [-1.5, 2000.0, 0.25]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1\n2\n", r"t\.txt:3: 2 numbers for 3 documents"),
        (b"1\n2\n3\n4\n", r"t\.txt:4: 4 numbers for 3 documents"),
        (b"1\nx y\n3\n", r"t\.txt:2: a number is expected, got 'x y'"),
        (b"1\n\n3\n", r"t\.txt:2: a number is expected, got ''"),
        (b"1\n2\nnan\n", r"t\.txt:3: targets must be finite"),
        (b"1\n1e39\n3\n", r"t\.txt:2: targets must be finite in single precision"),
        (b"\xff\xfe1\n", "is not text"),
    ],
)
def test_what_is_wrong_is_said_by_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_targets(tmp_path / "t.txt", 3)


def test_a_file_that_is_not_there_or_not_packed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_targets(tmp_path / "none.txt", 1)
    (tmp_path / "t.gz").write_bytes(b"1\n")
    with pytest.raises(DataError, match="cannot read"):
        read_targets(tmp_path / "t.gz", 1)
