"""One chunk of lines through the compiled scan: tables, doubtful numbers, and sentences for what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ranking.compiled.decimals import UInt8
from ranking.data.arrays import Float32, Int64
from ranking.data.letor.parser.explaining import RowForm, explain, token_at
from ranking.data.letor.parser.parsing import (
    ERROR_AT,
    ERROR_CODE,
    ERROR_LINE,
    ERROR_PREVIOUS,
    ERROR_START,
    FEATURE,
    LABEL,
    N_DOCUMENT_BYTES,
    N_ERRORS,
    N_QUERIES,
    N_SLOW,
    QUERY_AT,
    QUERY_LINE,
    QUERY_ROW,
    QUERY_START,
    QUERY_STOP,
    SLOW_AT,
    SLOW_COLUMN,
    SLOW_LINE,
    SLOW_ROW,
    SLOW_START,
    TOP_ID,
    parse_rows,
)
from ranking.data.letor.parser.sources import Chunk

_SLOW_NUMBERS = 256
_QID_BYTES = 4


@dataclass(frozen=True)
class Target:
    """Where rows go: row r to features[base + r * step :][:width]; a step of 0 is a scratch for all rows."""

    features: Float32
    base: int
    step: int
    width: int
    fill: float


@dataclass(frozen=True)
class Complaint:
    """A malformed line of a chunk, counted from 0; the column counts from 1."""

    line: int
    column: int
    message: str


class QueryStart(NamedTuple):
    """A row whose query id differs from the row before; row and line count from 0 in the chunk."""

    query: str
    row: int
    line: int
    column: int


@dataclass(frozen=True)
class Scanned:
    """What one chunk held. `complaints` are the first in order, `complaint_count` is the number of all."""

    labels: Float32
    queries: list[QueryStart]
    document_bytes: UInt8
    document_lengths: npt.NDArray[np.int32]
    complaints: list[Complaint]
    complaint_count: int
    top_id: int


@dataclass(frozen=True)
class _Tables:
    labels: Float32
    queries: Int64
    documents: UInt8
    lengths: npt.NDArray[np.int32]
    errors: Int64
    slow: Int64
    counts: Int64


def scan(chunk: Chunk, rows: int, target: Target, form: RowForm, most_complaints: int) -> Scanned:
    """Parses a chunk that holds this many rows into the target."""
    tables = _run(chunk, rows, target, form, most_complaints, _SLOW_NUMBERS)
    if tables.counts[N_SLOW] > _SLOW_NUMBERS:
        tables = _run(chunk, rows, target, form, most_complaints, int(tables.counts[N_SLOW]))
    counts = tables.counts
    complaints = [
        _complaint(chunk, int(e[ERROR_LINE]), int(e[ERROR_START]), int(e[ERROR_AT]), form,
                   int(e[ERROR_CODE]), int(e[ERROR_PREVIOUS]))
        for e in tables.errors[: counts[N_ERRORS]]
    ]  # fmt: skip
    out_of_range = _convert_slow(chunk, target, tables, form, {c.line for c in complaints})
    return Scanned(
        labels=tables.labels,
        queries=_query_starts(chunk, tables.queries[: counts[N_QUERIES]]),
        document_bytes=tables.documents[: counts[N_DOCUMENT_BYTES]].copy(),
        document_lengths=tables.lengths,
        complaints=sorted(complaints + out_of_range, key=lambda c: c.line)[:most_complaints],
        complaint_count=int(counts[N_ERRORS]) + len(out_of_range),
        top_id=int(counts[TOP_ID]),
    )


def _run(
    chunk: Chunk, rows: int, target: Target, form: RowForm, most_complaints: int, slow_numbers: int
) -> _Tables:
    tables = _Tables(
        labels=np.zeros(rows, np.float32),
        queries=np.empty((rows, 5), np.int64),
        documents=np.empty(chunk.size, np.uint8),
        lengths=np.zeros(rows, np.int32),
        errors=np.empty((most_complaints, 5), np.int64),
        slow=np.empty((slow_numbers, 5), np.int64),
        counts=np.zeros(6, np.int64),
    )
    parse_rows(
        np.frombuffer(chunk.buffer, np.uint8),
        chunk.size,
        target.features,
        target.base,
        (target.step, target.width),
        (form.first_id, form.limit),
        form.with_qid,
        np.float32(target.fill),
        tables.labels,
        tables.queries,
        tables.documents,
        tables.lengths,
        tables.errors,
        tables.slow,
        tables.counts,
    )
    return tables


def _convert_slow(
    chunk: Chunk, target: Target, tables: _Tables, form: RowForm, malformed: set[int]
) -> list[Complaint]:
    """Converts the numbers whose float32 the compiled scan was not sure of; complaints where none fits."""
    complaints: list[Complaint] = []
    for entry in tables.slow[: tables.counts[N_SLOW]].tolist():
        line, start, at = entry[SLOW_LINE], entry[SLOW_START], entry[SLOW_AT]
        row, column = entry[SLOW_ROW], entry[SLOW_COLUMN]
        if line in malformed:
            continue
        token = token_at(_line(chunk, start), at - start)
        # The scan has checked the form, so that float() sees nothing but a decimal number.
        number = float(token.split(b":", 1)[1] if column >= 0 else token)
        with np.errstate(over="ignore"):
            value = np.float32(number)
        if np.isinf(value) or (column < 0 and value < 0):
            code = FEATURE if column >= 0 else LABEL
            previous = column + form.first_id - 1
            complaints.append(_complaint(chunk, line, start, at, form, code, previous))
            malformed.add(line)
        elif column >= 0:
            target.features[target.base + row * target.step + column] = value
        else:
            tables.labels[row] = value
    return complaints


def _complaint(
    chunk: Chunk, line: int, start: int, at: int, form: RowForm, code: int, previous: int
) -> Complaint:
    column, message = explain(_line(chunk, start), at - start, code, previous, form)
    return Complaint(line, column, message)


def _line(chunk: Chunk, start: int) -> bytes:
    return bytes(chunk.buffer[start : chunk.buffer.index(b"\n", start)])


def _query_starts(chunk: Chunk, table: Int64) -> list[QueryStart]:
    return [
        QueryStart(
            chunk.buffer[entry[QUERY_AT] + _QID_BYTES : entry[QUERY_STOP]].decode("utf-8", "surrogateescape"),
            entry[QUERY_ROW],
            entry[QUERY_LINE],
            entry[QUERY_AT] - entry[QUERY_START] + 1,
        )
        for entry in table.tolist()
    ]
