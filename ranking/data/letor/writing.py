"""`write_letor`: a RankingDataset as LETOR text that reads back to the same bits."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast, get_args

import numpy as np

from ranking.data import atomic
from ranking.data.arrays import Float32, Strings
from ranking.data.dataset import Missing, RankingDataset
from ranking.data.letor.formatting import FEATURE_BYTES, LARGEST, SMALLEST, format_rows
from ranking.errors import DataError, unknown_name

_BLOCK_BYTES = 4 << 20
_ROW_BYTES = 64  # label, ` qid:`, ` #docid = ` and the newline
_NOT_IN_IDS = re.compile(r"[\s\x00-\x1f\x7f]")
_NOT_IN_QUERY_IDS = re.compile(r"[\s\x00-\x1f\x7f#]")
_NOWHERE = np.empty(0, np.int64)


def write_letor(
    dataset: RankingDataset, path_or_file: str | Path | BinaryIO, *, missing: Missing = "zero"
) -> None:
    """Writes LETOR text to a path (whole or not at all; `.gz` compresses) or to a binary file.

    missing  "zero": every feature is written, and NaN is refused. "nan": NaN features are left out, to be
             read with missing="nan"; where the last features are missing everywhere, reading then needs
             `feature_count`.

    Numbers are the shortest decimals that read back to the same float32; `#docid = ID` follows where ids are
    known (a document whose id is empty gets none). Names, weights and positions have no place in LETOR text.

    Raises DataError for NaN that may not be left out, infinities, and ids that are empty or hold a blank.
    """
    with _destination(path_or_file) as stream:
        write_rows(dataset, stream, missing=missing, first_id=1, with_qid=True)


@contextmanager
def _destination(path_or_file: str | Path | BinaryIO) -> Iterator[BinaryIO]:
    if isinstance(path_or_file, str | Path):
        with replacing(Path(path_or_file)) as stream:
            yield stream
    else:
        yield path_or_file


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary stream whose content takes the place of `path` once it is whole; `.gz` compresses.

    Devices and pipes are written directly.
    """
    final = path.resolve()
    try:
        if final.is_dir():
            raise DataError(f"expected a file to write, got the folder {path}; name a file in it")
        direct = final.exists() and not final.is_file()
        with final.open("wb") if direct else atomic.replacing(final) as stream:
            if final.suffix == ".gz":
                # No name and no time, so that the same data gives the same bytes.
                with gzip.GzipFile("", "wb", 6, stream, mtime=0) as compressed:
                    yield cast(BinaryIO, compressed)
            else:
                yield stream
    except OSError as error:
        raise DataError(f"expected a file that can be written, got {error.strerror}: {path}") from error


def write_rows(
    dataset: RankingDataset, stream: BinaryIO, *, missing: Missing, first_id: int, with_qid: bool
) -> None:
    """Writes the rows, a few megabytes at a time."""
    if missing not in get_args(Missing):
        raise unknown_name("missing-value policy", str(missing), get_args(Missing))
    queries = _column("query id", dataset.query_ids) if with_qid else Strings.of([])
    documents = None
    if with_qid and dataset.document_ids is not None:
        documents = _column("document id", dataset.document_ids)
    row_queries = np.repeat(np.arange(dataset.query_count), dataset.sizes)
    longest_query = int(np.diff(queries.offsets).max(initial=0))
    row_bytes = _ROW_BYTES + longest_query + FEATURE_BYTES * dataset.feature_count
    step = max(1, _BLOCK_BYTES // row_bytes)
    for start in range(0, dataset.document_count, step):
        rows = slice(start, min(start + step, dataset.document_count))
        # Copies: of one kind for the kernel, whether the data set is memory-mapped or not.
        features, labels = np.array(dataset.features[rows]), np.array(dataset.labels[rows])
        _check_numbers(dataset, features, start, missing)
        odd = _odd_texts(labels, features)
        ids = _NOWHERE if documents is None else np.array(documents.offsets[start : rows.stop + 1])
        id_bytes = 0 if documents is None else int(ids[-1] - ids[0])
        out = np.empty(len(labels) * row_bytes + id_bytes + len(odd.data), np.uint8)
        length = format_rows(
            out, features, labels, row_queries[rows], first_id, with_qid,
            np.array(queries.data), np.array(queries.offsets),
            np.empty(0, np.uint8) if documents is None else np.array(documents.data[ids[0] : ids[-1]]),
            ids if documents is None else ids - ids[0],
            np.array(odd.data), odd.offsets,
        )  # fmt: skip
        stream.write(out[:length].data)


def _column(kind: str, texts: object) -> Strings:
    """Ids that a LETOR row can hold, as one column."""
    forbidden = _NOT_IN_QUERY_IDS if kind == "query id" else _NOT_IN_IDS
    try:
        column = Strings.of(cast(Strings, texts))
    except UnicodeEncodeError as error:
        raise DataError(
            f"expected each {kind} to be text that UTF-8 can write, got {error.object!r}"
        ) from error
    lengths = np.diff(column.offsets)
    empty = np.flatnonzero(lengths == 0)
    if len(empty) and (kind == "query id" or len(empty) == len(lengths)):
        raise DataError(f"expected a {kind} that is not empty, got '' at number {empty[0]}; name it")
    if forbidden.search(column.data.tobytes().decode("utf-8", "surrogateescape")):
        bad = next(text for text in column if forbidden.search(text))
        raise DataError(
            f"expected a {kind} without blanks, control characters{' and #' if '#' in bad else ''}, "
            f"got {bad!r}; replace them, as by '_'"
        )
    return column


def _check_numbers(dataset: RankingDataset, features: Float32, start: int, missing: Missing) -> None:
    bad = np.isinf(features) if missing == "nan" else ~np.isfinite(features)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise DataError(
            f"expected finite features, got {features[row, column]} for feature {dataset.name_of(column)} of "
            f"document {start + row} (query {dataset.query_of(start + row)!r}); "
            "write NaN with missing='nan', which leaves it out"
        )


def _odd_texts(labels: Float32, features: Float32) -> Strings:
    """Texts of the numbers beyond the kernel's range, in the order in which it meets them."""
    table = np.concatenate([labels[:, None], features], axis=1)
    size = np.abs(table.astype(np.float64))
    odd = table[(size > 0) & ((size < SMALLEST) | (size >= LARGEST))]
    return Strings.of(_scientific(number) for number in odd)


def _scientific(number: np.float32) -> str:
    text = np.format_float_scientific(number, unique=True, trim="-").replace("e+", "e")
    # The reader goes by way of a double, which could in principle round the other way.
    return text if np.float32(float(text)) == number else repr(float(number))
