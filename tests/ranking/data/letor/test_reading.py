"""Reading: values, query ids, document ids and widths, whatever the chunks and the threads."""

from __future__ import annotations

import gzip
import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_svmlight_file

from ranking.data.dataset import RankingDataset
from ranking.data.letor import lint, read_letor, read_libsvm
from ranking.data.letor.linting import lint_chunks
from ranking.data.letor.lists import read_lists, read_options
from ranking.errors import DataError, ParseError, UsageError

TEXT = b"""# two queries
2 qid:a 1:0.5 3:-1e-3 #docid = D1 inc = 1
0 qid:a 2:+4\t4:.5   # other words

1\tqid:b-7 3:5.  \r
"""


def write(folder: Path, content: bytes, name: str = "data.txt") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def read_in_chunks(path: Path, chunk_bytes: int, threads: int) -> RankingDataset:
    options = read_options(
        missing="zero", feature_count=None, feature_names=None, threads=threads, max_features=16384
    )
    return read_lists([str(path)], replace(options, chunk_bytes=chunk_bytes))


def test_a_small_file_by_hand(tmp_path: Path) -> None:
    """Labels, absent features, query ids as text, document ids and blank lines are as written."""
    data = read_letor(write(tmp_path, TEXT))
    expected = [[0.5, 0, -1e-3, 0], [0, 4, 0, 0.5], [0, 0, 5, 0]]
    np.testing.assert_array_equal(data.features, np.array(expected, np.float32))
    assert data.labels.tolist() == [2, 0, 1]
    assert data.offsets.tolist() == [0, 2, 3]
    assert data.query_ids == ["a", "b-7"]
    assert data.document_ids == ["D1", "other", ""]
    assert data.feature_names is None


def test_absent_features_are_nan_on_request(tmp_path: Path) -> None:
    """missing="nan" fills absent features with NaN, also where a later line widens the matrix."""
    data = read_letor(write(tmp_path, TEXT), missing="nan")
    assert np.isnan(data.features).tolist() == [
        [False, True, False, True],
        [True, False, True, False],
        [True, True, False, True],
    ]


def test_no_comment_no_document_ids(tmp_path: Path) -> None:
    """document_ids is None where no row has a comment."""
    assert read_letor(write(tmp_path, b"1 qid:1 1:1\n")).document_ids is None


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("#docid=X", "X"),
        ("# docid =  X y", "X"),
        ("#X", "X"),
        ("#\tX y", "X"),
        ("# docid X", "docid"),
        ("#docids = X", "docids"),
        ("# GX-1#2 z", "GX-1#2"),
        ("# é", "é"),
    ],
)
def test_document_id_of_a_comment(comment: str, expected: str, tmp_path: Path) -> None:
    """The id is X of `docid = X`, or the first word."""
    assert read_letor(write(tmp_path, f"1 qid:1 1:1{comment}\n".encode())).document_ids == [expected]


def test_crlf_and_lf_read_alike(tmp_path: Path) -> None:
    """A carriage return directly before the newline is part of the line end."""
    unix = read_letor(write(tmp_path, TEXT.replace(b"\r", b"")))
    dos = read_letor(write(tmp_path, TEXT.replace(b"\r", b"").replace(b"\n", b"\r\n")))
    assert unix.fingerprint() == dos.fingerprint()
    assert unix.document_ids == dos.document_ids


def test_width_is_the_largest_id_or_as_given(tmp_path: Path) -> None:
    """The width is the largest id over all files; feature_count and feature_names widen it."""
    one = write(tmp_path, b"1 qid:1 2:1\n", "one")
    two = write(tmp_path, b"1 qid:a:7\n1 qid:2 5:1 # 9:1\n", "two")
    assert read_letor(one).feature_count == 2
    assert read_letor([one, two]).features.tolist() == [[0, 1, 0, 0, 0], [0] * 5, [0, 0, 0, 0, 1]]
    assert read_letor(one, feature_count=4, missing="nan").features.shape == (1, 4)
    assert read_letor(one, feature_names=["a", "b", "c"]).feature_names == ["a", "b", "c"]


def test_names_beside_the_first_file_are_used(tmp_path: Path) -> None:
    """features.txt in the folder of the first file names the features and gives the width."""
    path = write(tmp_path, b"1 qid:1 2:1\n")
    write(tmp_path, b"1\tbm25\n2\tage\n3\tclicks\n", "features.txt")
    data = read_letor(path)
    assert data.feature_names == ["bm25", "age", "clicks"]
    assert data.feature_count == 3


def test_regrouping_brings_a_query_together(tmp_path: Path) -> None:
    """regroup=True keeps queries by first appearance and the order of rows inside each."""
    one = write(tmp_path, b"0 qid:1 1:1 #a\n1 qid:2 1:2 #b\n2 qid:1 1:3 #c\n", "one")
    two = write(tmp_path, b"3 qid:2 1:4 #d\n", "two")
    data = read_letor([one, two], regroup=True)
    assert data.query_ids == ["1", "2"]
    assert data.offsets.tolist() == [0, 2, 4]
    assert data.features[:, 0].tolist() == [1, 3, 2, 4]
    assert data.labels.tolist() == [0, 2, 1, 3]
    assert data.document_ids == ["a", "c", "b", "d"]


def test_stdin_plain_and_gzip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads sys.stdin.buffer; gzip is recognised there too, and errors say <stdin>."""
    expected = read_letor(write(tmp_path, TEXT)).fingerprint()
    for content in (TEXT, gzip.compress(TEXT)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert read_letor("-", cache=tmp_path / "cache").fingerprint() == expected
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x\n")))
    with pytest.raises(ParseError, match=r"^<stdin>:1:1: "):
        read_letor("-")


def test_gzip_by_content_and_of_many_members(tmp_path: Path) -> None:
    """Gzip needs no .gz name; members follow one another, with padding or without."""
    lines = TEXT.splitlines(keepends=True)
    members = b"".join(gzip.compress(line) for line in lines)
    expected = read_letor(write(tmp_path, TEXT)).fingerprint()
    assert read_letor(write(tmp_path, members, "plain-name")).fingerprint() == expected
    assert read_letor(write(tmp_path, members + b"\0" * 512, "padded.gz")).fingerprint() == expected


def sparse_text(rows: int, seed: int) -> bytes:
    """Rows of growing width, some with comments, some doubtful numbers."""
    rng = np.random.default_rng(seed)
    lines = []
    for row in range(rows):
        ids = np.flatnonzero(rng.random(5 + row // 10) < 0.5) + 1
        numbers = [f"{i}:{rng.normal() * 10.0 ** rng.integers(-50, 30):.{rng.integers(0, 20)}g}" for i in ids]
        comment = f" # d{row}" if rng.random() < 0.5 else ""
        lines.append(f"{row % 3} qid:q{row // 7} {' '.join(numbers)}{comment}\n")
    return "".join(lines).encode()


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("chunk_bytes", [1, 7, 100, 4096, 1 << 20])
def test_chunks_and_threads_change_nothing(chunk_bytes: int, threads: int, tmp_path: Path) -> None:
    """Lines longer than a chunk, queries over chunks and matrices that widen give the same data set."""
    text = sparse_text(150, seed=1)
    whole = read_in_chunks(write(tmp_path, text), 1 << 20, 1)
    data = read_in_chunks(write(tmp_path, gzip.compress(text), "z"), chunk_bytes, threads)
    assert data.fingerprint() == whole.fingerprint()
    assert data.document_ids == whole.document_ids
    assert data.features.flags.c_contiguous
    assert lint(tmp_path / "data.txt") == lint_chunks(tmp_path / "data.txt", 20, chunk_bytes)


def test_chunks_do_not_change_errors(tmp_path: Path) -> None:
    """Lint reports the same places whatever the chunks."""
    text = sparse_text(60, seed=2) + b"x\n" + sparse_text(30, seed=3) + b"1 qid:z 2:1 1:1\n1 qid:y 1:1e99\n"
    path = write(tmp_path, text)
    found = [
        (place.line, place.column, place.message)
        for place in lint_chunks(path, 20, chunk_bytes=1 << 20).errors
    ]
    assert len(found) >= 3
    for chunk_bytes in (1, 64, 1000):
        again = lint_chunks(path, 20, chunk_bytes)
        assert [(place.line, place.column, place.message) for place in again.errors] == found


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, min_value=-3e38, max_value=3e38).map(repr),
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(lambda x: f"{x:.17g}"),
    st.floats(min_value=-1e-37, max_value=1e-37).map(lambda x: f"{x:.9e}"),
    st.integers(-(10**30), 10**30).map(str),
    st.decimals(-1000, 1000, places=12).map(lambda d: f"{d:f}"),
    st.from_regex(
        r"[+-]?([0-9]{1,25}\.?[0-9]{0,25}|\.[0-9]{1,25})([eE][+-]?0?[0-9])?", fullmatch=True
    ).filter(lambda text: abs(float(text)) < 3.4e38),
    st.sampled_from(
        ["1e-40", "-0", ".5", "5.", "1E+05", "0e99999", "1e-400", "00012", "0.1e1", "3.4028235e38"]
    ),
)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(numbers=st.lists(NUMBERS, min_size=1, max_size=30))
def test_numbers_equal_float_then_float32(
    numbers: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Every accepted form has the bits of np.float32(float(text))."""
    path = tmp_path_factory.getbasetemp() / "numbers.txt"
    path.write_text("".join(f"0 qid:{i} 1:{text}\n" for i, text in enumerate(numbers)))
    expected = np.array([float(text) for text in numbers]).astype(np.float32)
    assert read_letor(path).features[:, 0].view(np.uint32).tolist() == expected.view(np.uint32).tolist()


def test_numbers_near_the_middle_of_two_floats(tmp_path: Path) -> None:
    """Decimals a hair beside the middle between two float32 round as float() and the cast do."""
    rng = np.random.default_rng(3)
    low = rng.integers(1 << 24, 0x7F000000, 4000).astype(np.uint32)
    middle = (low.view(np.float32).astype(float) + (low + 1).view(np.float32).astype(float)) / 2
    beside = middle.view(np.int64) + rng.integers(-12, 13, len(middle))
    numbers = [repr(float(x)) for x in beside.view(np.float64)] + [f"{x:.40g}" for x in middle]
    path = write(tmp_path, "".join(f"0 qid:{i} 1:{x}\n" for i, x in enumerate(numbers)).encode())
    expected = np.array([float(x) for x in numbers]).astype(np.float32)
    assert read_letor(path).features[:, 0].view(np.uint32).tolist() == expected.view(np.uint32).tolist()


def test_equal_to_scikit_learn_on_random_text(tmp_path: Path) -> None:
    """Matrix, labels and query ids equal load_svmlight_file's, with 17 digits and 1e-40 in the text."""
    rng = np.random.default_rng(4)
    lines = []
    for row in range(400):
        values = rng.normal(size=20) * 10.0 ** rng.integers(-45, 37, 20)
        digits = rng.integers(1, 18, 20)
        texts = [f"{i + 1}:{v:.{d}g}" for i, (v, d) in enumerate(zip(values, digits, strict=True))]
        lines.append(f"{rng.integers(0, 5)} qid:{row // 9} {' '.join(texts)} 21:1e-40\n")
    path = write(tmp_path, "".join(lines).encode())
    matrix, labels, queries = load_svmlight_file(str(path), dtype=np.float32, query_id=True)
    data = read_letor(path)
    # Adding zero makes -0 (what -1e-60 becomes) 0, which is how a sparse matrix unpacks it.
    assert (data.features + 0).view(np.uint32).tolist() == matrix.toarray().view(np.uint32).tolist()
    assert data.labels.tolist() == labels.tolist()
    assert np.repeat([int(q) for q in data.query_ids], data.sizes).tolist() == queries.tolist()


def test_libsvm_rows_with_a_group_file(tmp_path: Path) -> None:
    """The group file beside rank.train.gz is found, and ids may count from 0."""
    write(tmp_path, gzip.compress(b"1 0:5\n0 1:2\n2 0:1\n"), "rank.train.gz")
    write(tmp_path, b"1\n2\n", "rank.train.query")
    data = read_libsvm(tmp_path / "rank.train.gz", first_id=0)
    assert data.features.tolist() == [[5, 0], [0, 2], [1, 0]]
    assert (data.query_ids, data.offsets.tolist()) == (["1", "2"], [0, 1, 3])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"missing": "mean"}, "unknown missing-value policy 'mean'"),
        ({"threads": 0}, "at least one thread"),
        ({"feature_count": 0}, "between 1 and"),
        ({"max_features": 10**8}, "between 1 and"),
        ({"feature_count": 2, "feature_names": ["a"]}, "expected 1 features"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, object], message: str, tmp_path: Path) -> None:
    """Wrong options are usage errors, before anything is read."""
    with pytest.raises(UsageError, match=message):
        read_letor(tmp_path / "absent", **options)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(UsageError, match="at least one file"):
        read_letor([])


def test_a_file_that_fails_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An input/output error of the disk is bad data with the file's name."""

    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return b"1 qi"

        def readinto(self, view: object) -> int:
            raise OSError(5, "Input/output error")

        def seekable(self) -> bool:
            return False

    monkeypatch.setattr(Path, "open", lambda *_, **__: Broken())
    with pytest.raises(DataError, match=r"to read .*data\.txt to its end, got Input/output error"):
        read_letor(tmp_path / "data.txt", feature_count=1)
