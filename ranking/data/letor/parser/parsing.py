"""The compiled scan of LETOR and LIBSVM lines.

A buffer holds whole lines (its last byte of content is a newline) and `PAD` bytes of room after them, because
digits are read eight bytes at a time. The kernels release the GIL and touch only the rows they are given.

Numbers equal `np.float32(float(text))` to the bit: where that is not certain from double arithmetic the place
is put on a list, and Python converts it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ranking.compiled.decimals import (
    DOUBTFUL,
    MALFORMED,
    UInt8,
    digits_value,
    leading_digits,
    number,
    word_at,
)
from ranking.compiled.jit import compiled
from ranking.data.arrays import Float32, Int64

LABEL, QID, FEATURE, COMMENT = 1, 2, 3, 4
"""What was being read when a line turned out malformed."""

# Columns of the tables that `parse_rows` fills.
ERROR_LINE, ERROR_START, ERROR_AT, ERROR_CODE, ERROR_PREVIOUS = range(5)
SLOW_LINE, SLOW_START, SLOW_AT, SLOW_ROW, SLOW_COLUMN = range(5)
QUERY_ROW, QUERY_LINE, QUERY_START, QUERY_AT, QUERY_STOP = range(5)
N_ROWS, N_ERRORS, N_SLOW, N_QUERIES, N_DOCUMENT_BYTES, TOP_ID = range(6)

_TAB, _LF, _CR, _SPACE, _HASH, _PLUS, _MINUS, _DOT, _COLON = 9, 10, 13, 32, 35, 43, 45, 46, 58
_DELETE = 127
_QID = np.uint64(int.from_bytes(b"qid:", "little"))
_DOCID = np.uint64(int.from_bytes(b"docid", "little"))
_FOUR_BYTES, _FIVE_BYTES = np.uint64(2**32 - 1), np.uint64(2**40 - 1)

_ONES = np.uint64(0x0101010101010101)
_HIGH_BITS = np.uint64(0x8080808080808080)
_LFS, _HASHES = np.uint64(0x0A0A0A0A0A0A0A0A), np.uint64(0x2323232323232323)
_U3, _BYTE = np.uint64(3), np.uint64(255)


@compiled
def _is_blank(byte: int) -> bool:
    return byte in (_SPACE, _TAB)


@compiled
def _ends(buffer: UInt8, at: int) -> bool:
    """Whether a line (or its comment) ends what stands before this byte."""
    byte = int(buffer[at])
    return byte in (_LF, _HASH) or (byte == _CR and int(buffer[at + 1]) == _LF)


@compiled
def _skip_blanks(buffer: UInt8, at: int) -> int:
    while _is_blank(buffer[at]):
        at += 1
    return at


@compiled
def count_rows(buffer: UInt8, stop: int) -> tuple[int, int, int]:
    """(lines, rows, largest last id) of whole lines; a line is a row unless it is blank or a comment.

    Ids ascend, so that the last ones bound the width.
    """
    lines, rows, top, start, comment = 0, 0, 0, 0, -1
    for block in range(0, stop, 8):
        word = word_at(buffer, block)
        feeds, hashes = word ^ _LFS, word ^ _HASHES
        if (((feeds - _ONES) & ~feeds) | ((hashes - _ONES) & ~hashes)) & _HIGH_BITS == 0:
            continue
        for at in range(block, min(block + 8, stop)):
            if buffer[at] == _HASH and comment < 0:
                comment = at
            elif buffer[at] == _LF:
                lines += 1
                if not _ends(buffer, _skip_blanks(buffer, start)):
                    rows += 1
                    top = max(top, _last_id(buffer, start, at if comment < 0 else comment))
                start, comment = at + 1, -1
    return lines, rows, top


@compiled
def _last_id(buffer: UInt8, start: int, at: int) -> int:
    """The id before the last colon of [start, at); 0 where that is no feature."""
    while at > start and buffer[at] != _COLON:
        at -= 1
    value, scale = 0, 1
    while at > start and 48 <= buffer[at - 1] <= 57 and scale < 10**8:
        at -= 1
        value += scale * (buffer[at] - 48)
        scale *= 10
    return value if at > start and _is_blank(buffer[at - 1]) else 0


@compiled
def _comment(buffer: UInt8, at: int) -> tuple[int, int, int, int]:
    """(newline, start, stop of the document id, place of a control byte or -1) of the comment at a `#`.

    The id is X of `docid = X`, or else the first word.
    """
    start = _skip_blanks(buffer, at + 1)
    if word_at(buffer, start) & _FIVE_BYTES == _DOCID:
        equals = _skip_blanks(buffer, start + 5)
        if buffer[equals] == 61:
            start = _skip_blanks(buffer, equals + 1)
    stop = start
    while buffer[stop] > _SPACE and buffer[stop] != _DELETE:
        stop += 1
    end, bad = at, -1
    while buffer[end] != _LF:
        byte = buffer[end]
        if (byte < _SPACE and byte != _TAB) or byte == _DELETE:
            if byte == _CR and buffer[end + 1] == _LF:
                return end + 1, start, stop, bad
            if bad < 0:
                bad = end
        end += 1
    return end, start, stop, bad


@compiled
def _query(buffer: UInt8, at: int) -> int:
    """The end of the query id whose `qid:` stands here, or -1."""
    if word_at(buffer, at) & _FOUR_BYTES != _QID:
        return -1
    stop = at + 4
    while buffer[stop] > _SPACE and buffer[stop] != _HASH and buffer[stop] != _DELETE:
        stop += 1
    return stop if stop > at + 4 and (_is_blank(buffer[stop]) or _ends(buffer, stop)) else -1


@compiled
def _same(buffer: UInt8, one: int, other: int, length: int) -> bool:
    for i in range(length):  # noqa: SIM110, RUF100  # compiled: a generator would be slower
        if buffer[one + i] != buffer[other + i]:
            return False
    return True


@compiled
def _features(
    buffer: UInt8,
    at: int,
    features: Float32,
    base: int,
    shape: Any,
    ids: Any,
    fill: Any,
    slow: Int64,
    place: Any,
) -> tuple[int, bool, int, int]:
    """Reads `id:value` until the line or its comment ends it: (place, all well, last id, slow numbers).

    `shape` is (step, width), `ids` is (first, limit), `place` is (line, its start, row, slow numbers so far).
    Ids beyond the width but within the limit occur only in lines that prove malformed further on.
    """
    first, limit = ids
    step, width = shape
    line, line_start, row, doubtful = place
    previous, written = first - 1, 0
    while True:
        word = word_at(buffer, at)
        count = leading_digits(word)
        if count - np.uint64(1) > np.uint64(6):
            break
        feature = np.int64(digits_value(word, count))
        if (word >> (count << _U3)) & _BYTE != _COLON or feature <= previous:
            return at, False, previous, doubtful
        end, value, state = number(buffer, at + np.int64(count) + 1)
        blank = _is_blank(buffer[end])
        if state == MALFORMED or not (blank or _ends(buffer, end)):
            return at, False, previous, doubtful
        column = feature - first
        if column < width:
            for gap in range(written, column):
                features[base + gap] = fill
            features[base + column] = value
            written = column + 1
            if state == DOUBTFUL:
                if doubtful < len(slow):
                    slow[doubtful] = (line, line_start, at, row, column)
                doubtful += 1
        elif feature > limit:
            return at, False, previous, doubtful
        previous = feature
        at = _skip_blanks(buffer, end) if blank else end
    for gap in range(written, step):
        features[base + gap] = fill
    return at, _ends(buffer, at), previous, doubtful


@compiled
def _head(
    buffer: UInt8, start: int, line: int, row: int, with_qid: bool, open_query: Any, out: Any
) -> tuple[int, int, int, int]:
    """Reads the label and the query id: (place, error code, start and length of the query id).

    `open_query` is the start and length of the id of the row before, `out` the tables.
    """
    labels, queries, slow, counts = out
    query_start, query_length = open_query
    at = _skip_blanks(buffer, start)
    end, value, state = number(buffer, at)
    if state == MALFORMED or not (_is_blank(buffer[end]) or _ends(buffer, end)) or value < 0:
        return at, LABEL, query_start, query_length
    labels[row] = value
    if state == DOUBTFUL:
        if counts[N_SLOW] < len(slow):
            slow[counts[N_SLOW]] = (line, start, at, row, -1)
        counts[N_SLOW] += 1
    at = _skip_blanks(buffer, end)
    if not with_qid:
        return at, 0, query_start, query_length
    end = _query(buffer, at)
    if end < 0:
        return at, QID, query_start, query_length
    length = end - at - 4
    if length != query_length or not _same(buffer, query_start, at + 4, length):
        queries[counts[N_QUERIES]] = (row, line, start, at, end)
        counts[N_QUERIES] += 1
        query_start, query_length = at + 4, length
    return _skip_blanks(buffer, end), 0, query_start, query_length


@compiled
def parse_rows(
    buffer: UInt8,
    stop: int,
    features: Float32,
    base: int,
    shape: tuple[int, int],
    ids: tuple[int, int],
    with_qid: bool,
    fill: Any,
    labels: Float32,
    queries: Int64,
    documents: UInt8,
    document_lengths: Any,
    errors: Int64,
    slow: Int64,
    counts: Int64,
) -> None:
    """Parses whole lines: row r goes to features[base + r * step :][:width] and labels[r].

    `shape` is (step, width) and `ids` the (first, last) that are allowed. A step of 0 puts every row into the
    same scratch, for those who only want to know what is wrong.

    Fills `queries` (one line where the query id differs from the row before), the packed document ids,
    `errors` (the first of each malformed line) and `slow` (numbers for Python to convert; label: column -1).
    Errors and slow numbers beyond the length of their tables are only counted, in `counts`.
    """
    at, row, line = 0, 0, 0
    query = (0, -1)
    while at < stop:
        start, code, previous = at, 0, ids[0] - 1
        at = _skip_blanks(buffer, at)
        is_row = not _ends(buffer, at)
        if is_row:
            at, code, query_start, query_length = _head(
                buffer, start, line, row, with_qid, query, (labels, queries, slow, counts)
            )
            query = (query_start, query_length)
            if code == 0:
                place = (line, start, row, counts[N_SLOW])
                at, well, previous, counts[N_SLOW] = _features(
                    buffer, at, features, base + row * shape[0], shape, ids, fill, slow, place
                )
                counts[TOP_ID] = max(counts[TOP_ID], previous)
                code = 0 if well else FEATURE
            row += 1
        if code == 0 and buffer[at] == _HASH:
            at, word_start, word_stop, bad = _comment(buffer, at)
            if bad >= 0:
                at, code = bad, COMMENT
            elif is_row:
                document_lengths[row - 1] = word_stop - word_start
                for i in range(word_start, word_stop):
                    documents[counts[N_DOCUMENT_BYTES]] = buffer[i]
                    counts[N_DOCUMENT_BYTES] += 1
        if code != 0:
            if counts[N_ERRORS] < len(errors):
                errors[counts[N_ERRORS]] = (line, start, at, code, previous)
            counts[N_ERRORS] += 1
        while buffer[at] != _LF:
            at += 1
        at += 1
        line += 1
    counts[N_ROWS] = row
