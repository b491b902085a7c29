"""A teacher's scores from a file: read, and what is wrong with it said by its line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from ranking.data.targets import read_targets
from ranking.errors import DataError


def test_one_number_a_row_plain_or_packed(tmp_path: Path) -> None:
    """Of any sign; packed is what begins so, whatever it is called; a last newline is no row."""
    content = b"-1.5\r\n2e3\n 0.25\n"
    (tmp_path / "t.txt").write_bytes(content)
    (tmp_path / "open.txt").write_bytes(content.rstrip())
    (tmp_path / "t.txt.gz").write_bytes(gzip.compress(content))
    (tmp_path / "packed").write_bytes(gzip.compress(content))
    for name in ("t.txt", "open.txt", "t.txt.gz", "packed"):
        found = read_targets(tmp_path / name, 3)
        assert found.dtype == np.float32
        assert found.tolist() == [-1.5, 2000.0, 0.25]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"t\.txt:1: expected 3 numbers, .* got 0"),
        (b"1\n2\n", r"t\.txt:3: expected 3 numbers, one for each row of the data, got 2; write those of"),
        (b"1\n2\n3\n4\n", r"t\.txt:4: expected the end after 3 numbers, .* got '4'; leave out"),
        (b"1\n2\n3\n\n", r"t\.txt:4: expected the end after 3 numbers, .* got ''"),
        (b"1\nx y\n3\n", r"t\.txt:2: expected a number, got 'x y'; write one number a line"),
        (b"1\n\n3\n", r"t\.txt:2: expected a number, got ''"),
        (b"# scores\n1\n2\n3\n", r"t\.txt:1: expected a number, got '# scores'"),
        (b"1\n1_0\n3\n", r"t\.txt:2: expected a number, got '1_0'"),
        (b"1\x0c2\n3\n", r"t\.txt:1: expected a number"),
        ("1\n٢\n3\n".encode(), r"t\.txt:2: expected a number"),
        (b"1\n2\nnan\n", r"t\.txt:3: expected a finite number in single precision, got 'nan'"),
        (b"1\n-inf\n3\n", r"t\.txt:2: expected a finite number"),
        (b"1\n1e39\n3\n", r"t\.txt:2: expected a finite number in single precision, got '1e39'"),
        (b"\xff\xfe1\n", r"t\.txt:1: expected a number, got '\\\\xff\\\\xfe1'"),
    ],
)
def test_what_is_wrong_is_said_by_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_targets(tmp_path / "t.txt", 3)


def test_a_file_that_is_not_there_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_targets(tmp_path / "none.txt", 1)
    with pytest.raises(DataError, match=r"cannot read .*directory"):
        read_targets(tmp_path, 1)
    packed = gzip.compress(b"1\n" * 100)
    for damaged in (packed[:-4], packed[:12] + b"\xff\xff\xff" + packed[15:]):
        (tmp_path / "t.gz").write_bytes(damaged)
        with pytest.raises(DataError, match=r"t\.gz: damaged gzip data .*: copy or write it again"):
            read_targets(tmp_path / "t.gz", 100)
