"""Writing: text that reads back to the same bits."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ranking.data.arrays import Float32
from ranking.data.dataset import RankingDataset
from ranking.data.letor import read_letor, read_libsvm, write_letor, write_libsvm
from ranking.errors import DataError, UsageError

IDS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=6)


def dataset(features: object, **others: object) -> RankingDataset:
    matrix = np.array(features, np.float32)
    plain: dict[str, object] = {
        "labels": np.zeros(len(matrix), np.float32),
        "offsets": np.array([0, len(matrix)]),
        "query_ids": ["q"],
    }
    return RankingDataset(features=matrix, **(plain | others))  # type: ignore[arg-type]  # chosen by the test


def text_of(data: RankingDataset, missing: object = "zero") -> str:
    stream = io.BytesIO()
    write_letor(data, stream, missing=missing)  # type: ignore[arg-type]  # chosen by the test
    return stream.getvalue().decode()


def written_number(number: np.float32) -> str:
    return text_of(dataset([[number]])).split(":")[2].strip()


def same(one: RankingDataset, other: RankingDataset) -> bool:
    bits = [(d.features.view(np.uint32).tolist(), d.labels.view(np.uint32).tolist()) for d in (one, other)]
    lists = [(d.offsets.tolist(), list(d.query_ids)) for d in (one, other)]
    return bits[0] == bits[1] and lists[0] == lists[1] and one.document_ids == other.document_ids


def test_a_small_data_set_by_hand() -> None:
    """Whole labels are integers, all features are written, document ids follow."""
    data = dataset(
        [[0.5, 0], [1e-7, 16777216], [-3.25, 1e30]],
        labels=[2, 0.5, 0],
        offsets=[0, 2, 3],
        query_ids=["a", "b"],
        document_ids=["D1", "", "é"],
    )
    assert text_of(data) == (
        "2 qid:a 1:0.5 2:0 #docid = D1\n0.5 qid:a 1:1e-7 2:16777216\n0 qid:b 1:-3.25 2:1e30 #docid = é\n"
    )


def test_nan_is_left_out_or_refused() -> None:
    """missing="nan" writes zeros and leaves NaN out; missing="zero" refuses NaN."""
    data = dataset([[0, np.nan, 2]])
    assert text_of(data, "nan") == "0 qid:q 1:0 3:2\n"
    with pytest.raises(DataError, match=r"got nan for feature 2 of document 0 \(query 'q'\); write NaN with"):
        text_of(data)
    with pytest.raises(UsageError, match="missing-value policy"):
        text_of(data, "mean")


@settings(deadline=None, derandomize=True, max_examples=150)
@given(data=st.data())
def test_writing_and_reading_gives_the_same_bits(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Every float32, ids of any script, NaN left out: all arrays come back bit for bit."""
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    rows, width = sum(sizes), data.draw(st.integers(1, 4))
    numbers = st.floats(width=32, allow_infinity=False, allow_nan=False)
    features: Float32 = data.draw(hnp.arrays(np.float32, (rows, width), elements=numbers))
    missing = data.draw(st.sampled_from(["zero", "nan"]))
    if missing == "nan":
        features[data.draw(hnp.arrays(np.bool_, (rows, width)))] = np.nan
    original = RankingDataset(
        features=features,
        labels=data.draw(hnp.arrays(np.float32, rows, elements=st.floats(0, 2.0**100, width=32))),
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
        query_ids=data.draw(
            st.lists(
                IDS.filter(lambda i: "#" not in i), min_size=len(sizes), max_size=len(sizes), unique=True
            )
        ),
        document_ids=data.draw(st.none() | st.lists(IDS, min_size=rows, max_size=rows)),
    )
    path = tmp_path_factory.getbasetemp() / data.draw(st.sampled_from(["round.txt", "round.txt.gz"]))
    write_letor(original, path, missing=missing)
    assert same(original, read_letor(path, missing=missing, feature_count=width))


def test_numbers_are_the_shortest_that_read_back() -> None:
    """Random float32 of all magnitudes read back to their bits and have no more digits than numpy's repr."""
    rng = np.random.default_rng(5)
    numbers = rng.integers(1, 0x7F800000, 20_000).astype(np.uint32).view(np.float32)
    numbers = np.concatenate([numbers, rng.normal(size=20_000).astype(np.float32)])
    text = text_of(dataset(numbers[:, None]))
    written = [line.split(":")[2] for line in text.splitlines()]
    assert np.array([float(t) for t in written]).astype(np.float32).tolist() == numbers.tolist()

    def digits(shown: str) -> int:
        return len(shown.split("e")[0].replace(".", "").lstrip("-0").rstrip("0"))

    longer = [t for t, x in zip(written, numbers, strict=True) if digits(t) > digits(str(x))]
    assert longer == []


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0.0, "0"), (-0.0, "-0"), (1.0, "1"), (-12.0, "-12"), (0.1, "0.1"), (0.0001, "0.0001"),
        (1.5e-5, "0.000015"), (1.25e-12, "1.25e-12"), (1e-45, "1e-45"), (3.4028235e38, "3.4028235e38"),
        (123456.79, "123456.79"), (9999999.0, "9999999"), (2.5e9, "2500000000"), (1e12, "1e12"),
        (1e22, "1e22"),
    ],
)  # fmt: skip
def test_how_numbers_look(number: float, expected: str) -> None:
    """Plain decimals where they are short, exponents elsewhere."""
    assert written_number(np.float32(number)) == expected


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ({"query_ids": ["a b"]}, "a query id without blanks, control characters, got 'a b'"),
        ({"query_ids": ["a#b"]}, "control characters and #, got 'a#b'"),
        ({"query_ids": [""]}, "a query id that is not empty, got '' at number 0"),
        ({"query_ids": ["\ud800"]}, "text that UTF-8 can write"),
        ({"document_ids": ["x", "a\tb"]}, "a document id without blanks, control characters, got 'a\\\\tb'"),
        ({"document_ids": ["x", "a\u2003b"]}, "a document id without blanks"),
        ({"document_ids": ["", ""]}, "a document id that is not empty"),
    ],
)
def test_ids_that_would_not_read_back_are_refused(ids: dict[str, object], message: str) -> None:
    """Ids with blanks or control characters, and empty ones, are bad data."""
    with pytest.raises(DataError, match=message):
        text_of(dataset([[1], [2]], **ids))


def test_writing_is_whole_or_not_at_all(tmp_path: Path) -> None:
    """A refused data set leaves the file that was there, and nothing beside it."""
    path = tmp_path / "data.txt"
    path.write_text("before")
    with pytest.raises(DataError):
        write_letor(dataset([[np.nan]]), path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(DataError, match="got the folder"):
        write_letor(dataset([[1]]), tmp_path)
    with pytest.raises(DataError, match="got No such file or directory"):
        write_letor(dataset([[1]]), tmp_path / "absent" / "data.txt")


def test_compressed_files_are_the_same_each_time(tmp_path: Path) -> None:
    """.gz holds neither a time nor a name."""
    one, two = tmp_path / "one.gz", tmp_path / "two.gz"
    for path in (one, two):
        write_letor(dataset([[1]]), path)
    assert one.read_bytes() == two.read_bytes()
    assert one.read_bytes()[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"


def test_libsvm_round_trip(tmp_path: Path) -> None:
    """Rows and group sizes come back; queries are named by number."""
    data = dataset([[0, 1.5], [2, 0], [0, 3]], offsets=[0, 1, 3], query_ids=["1", "2"])
    for first_id in (0, 1):
        path = tmp_path / f"rank{first_id}.gz"
        write_libsvm(data, path, first_id=first_id)
        assert (tmp_path / f"rank{first_id}.query").read_text() == "1\n2\n"
        assert same(data, read_libsvm(path, first_id=first_id))
