"""From paths and options to rows, and to lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, get_args

import numpy as np
import numpy.typing as npt

from ranking.compiled.decimals import UInt8
from ranking.data.arrays import Float32, Strings
from ranking.data.dataset import Missing, RankingDataset
from ranking.data.letor.naming import read_feature_names
from ranking.data.letor.parser.explaining import RowForm
from ranking.data.letor.parser.grouping import QueryRuns
from ranking.data.letor.parser.matrix import GrowingMatrix
from ranking.data.letor.parser.pipeline import Pipeline
from ranking.data.letor.parser.scanning import Target
from ranking.data.letor.parser.sources import CHUNK_BYTES, STDIN
from ranking.errors import UsageError, unknown_name

Item = TypeVar("Item", bound=np.generic)
MAX_FEATURES = 16384
_MOST_FEATURES = 9_999_999  # ids of seven digits, which the parser takes at once
_NAMES_FILE = "features.txt"


@dataclass(frozen=True)
class ReadOptions:
    """How rows become a data set. All but the last two may change the result."""

    form: RowForm
    missing: Missing
    regroup: bool
    feature_names: tuple[str, ...] | None
    width: int | None
    threads: int
    chunk_bytes: int = CHUNK_BYTES


def names_beside(path: str) -> list[str] | None:
    """The names in `features.txt` in the folder of a file, if it is there."""
    beside = Path(path).parent / _NAMES_FILE
    return read_feature_names(beside) if path != STDIN and beside.is_file() else None


def read_options(
    *,
    missing: Missing,
    regroup: bool = False,
    feature_count: int | None,
    feature_names: Sequence[str] | None,
    threads: int,
    max_features: int,
    first_id: int = 1,
    with_qid: bool = True,
) -> ReadOptions:
    """The checked options of a reader."""
    if missing not in get_args(Missing):
        raise unknown_name("missing-value policy", str(missing), get_args(Missing))
    if threads < 1:
        raise UsageError(f"expected at least one thread, got threads={threads}")
    if first_id not in (0, 1):
        raise UsageError(f"expected feature ids to begin at 0 or 1, got first_id={first_id}")
    names = None if feature_names is None else tuple(feature_names)
    if names is not None and feature_count not in (None, len(names)):
        raise UsageError(
            f"expected {len(names)} features, as there are names, got feature_count={feature_count}"
        )
    width = feature_count if names is None else len(names)
    most = max_features if width is None else width
    if not 1 <= most <= _MOST_FEATURES:
        raise UsageError(f"expected between 1 and {_MOST_FEATURES} features, got {most}")
    reason = (
        "raise max_features if the data really is that wide"
        if width is None
        else f"the data was said to have {width} features: raise feature_count, or complete {_NAMES_FILE}"
    )
    form = RowForm(with_qid, first_id, most - 1 + first_id, reason)
    return ReadOptions(form, missing, regroup, names, width, threads)


@dataclass(frozen=True)
class TextRows:
    """What the rows of some files say, before they are lists."""

    features: Float32
    labels: Float32
    document_ids: Strings | None
    runs: QueryRuns


def read_rows(paths: Sequence[str], options: ReadOptions) -> TextRows:
    """Reads every row; raises at the first malformed line."""
    form, fill = options.form, 0.0 if options.missing == "zero" else float("nan")
    runs = QueryRuns(options.regroup)
    pipeline = Pipeline(form, runs, options.threads, options.chunk_bytes, most_errors=1)
    matrix = GrowingMatrix(options.width, fill, pipeline.settle)

    def room(rows: int, columns: int, share: float | None) -> Target:
        first = matrix.reserve(rows, columns, share)
        return Target(matrix.flat, first * matrix.stride, matrix.stride, matrix.stride, fill)

    labels: list[Float32] = []
    words: list[UInt8] = []
    lengths: list[npt.NDArray[np.int32]] = []
    top = 0
    for block in pipeline.blocks(paths, room):
        if block.errors:
            raise block.errors[0]
        if block.scanned is not None:
            labels.append(block.scanned.labels)
            words.append(block.scanned.document_bytes)
            lengths.append(block.scanned.document_lengths)
            top = max(top, block.scanned.top_id)
    features = matrix.finish(top - form.first_id + 1 if options.width is None else options.width)
    return TextRows(features, _joined(labels), _document_ids(words, lengths, matrix.rows), runs)


def read_lists(paths: Sequence[str], options: ReadOptions) -> RankingDataset:
    """The data set whose rows name their queries."""
    rows = read_rows(paths, options)
    features, labels, documents = rows.features, rows.labels, rows.document_ids
    offsets, order = rows.runs.layout(len(labels))
    if order is not None:
        features, labels = features[order], labels[order]
        documents = None if documents is None else Strings.of(documents[int(row)] for row in order)
    return RankingDataset(
        features=features,
        labels=labels,
        offsets=offsets,
        query_ids=rows.runs.ids,
        document_ids=documents,
        feature_names=None if options.feature_names is None else list(options.feature_names),
        trusted=True,
    )


def _joined(parts: list[npt.NDArray[Item]]) -> npt.NDArray[Item]:
    """The parts as one array; they are given up, so that memory does not hold them twice for long."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole


def _document_ids(words: list[UInt8], lengths: list[npt.NDArray[np.int32]], rows: int) -> Strings | None:
    """The ids in the comments; None if no row has one, "" where others have."""
    data = _joined(words)
    if len(data) == 0:
        return None
    offsets, row = np.zeros(rows + 1, np.int64), 1
    for part in lengths:
        offsets[row : row + len(part)] = part
        row += len(part)
    np.cumsum(offsets, out=offsets)
    return Strings(data, offsets)
