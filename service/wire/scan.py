"""The compiled scan of feature values in JSON, straight into the matrix.

It reads what is well formed and usual: numbers and nulls in arrays of the model's width, or in objects whose
keys are plain names of the model. For anything else it says no, and the slow way (`decoding`, `candidates`)
reads the request again and finds the words for what is wrong.

It looks for the ends of numbers first (`find_ends`, `_value_end`) and reads the numbers after
(`ranking.compiled.digits`), so that none waits for the one before it. What
it reads equals the slow way to the bit, but for the integer -0, which keeps its sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ranking.compiled.decimals import UInt8
from ranking.compiled.digits import (
    AFTER,
    BEFORE,
    address,
    byte_at,
    bytes_equal,
    float32_number,
    ones,
    texts_equal,
    trailing_zeros,
)
from ranking.compiled.jit import compiled
from ranking.compiled.names import Int32, NameTable, find, hash_start, hash_step, is_name, name_table
from ranking.compiled.warming import warms
from ranking.data.arrays import Float32, Int64

_QUOTE, _COMMA, _COLON = 34, 44, 58
_OPEN_LIST, _BACKSLASH, _CLOSE_LIST, _OPEN_MAP, _CLOSE_MAP = 91, 92, 93, 123, 125
_N, _U, _L = 110, 117, 108
_NONE, _ONE = np.uint64(0), np.uint64(1)
LEAD = 32
"""The longest text up to a value that is compared at once."""
USUAL = 10
"""So many commas in 64 bytes are written down without asking how many there are."""


def scan_rows(pieces: Sequence[Any], names: NameTable) -> Float32 | None:
    """float32 [pieces, features] of JSON arrays in the model's order, or of objects by name; or None."""
    if not pieces:
        return None
    buffer = padded(pieces)
    width = len(names.starts) - 1
    if buffer[BEFORE] == _OPEN_MAP:
        matrix = np.full((len(pieces), width), np.nan, np.float32)
        well = _named_rows(buffer, names.text, names.starts, names.slots, matrix)
    else:
        matrix = np.empty((len(pieces), width), np.float32)
        well = _dense_rows(buffer, False, matrix)
    return matrix if well else None


def scan_matrix(piece: Any, rows: int, width: int) -> Float32 | None:
    """float32 [rows, width] of one JSON array of arrays, or None."""
    matrix = np.empty((rows, width), np.float32)
    return matrix if _dense_rows(padded([piece]), True, matrix) else None


def padded(pieces: Sequence[Any]) -> UInt8:
    """The pieces on end, with the room around them that vectors are loaded from."""
    return np.frombuffer(b"".join([bytes(BEFORE), *pieces, bytes(AFTER)]), np.uint8)


@compiled
def skip_space(buffer: UInt8, at: Any) -> Any:
    while buffer[at] == 32 or 9 <= buffer[at] <= 10 or buffer[at] == 13:
        at += 1
    return at


@compiled(inline="always")
def find_ends(at: Any, limit: Any, width: Any, ends: Int64) -> Any:
    """The place after the array of `width` values that begins before `at`, each one's end in `ends`; or -1.

    `ends` has room for `width` + `USUAL` places. Any comma and bracket ends a value: a string that holds one
    is no number anyway. Places here and below are addresses.
    """
    count = np.int64(0)
    while at < limit:
        closing = bytes_equal(at, _CLOSE_LIST)
        marks = bytes_equal(at, _COMMA) | closing
        if closing != _NONE:
            marks &= closing ^ (closing - _ONE)  # what comes after the first bracket is not of this array
        more = ones(marks)
        if count + more > width:
            return np.int64(-1)
        # Written whether there or not: how often a loop of unknown length goes round is mispredicted.
        for i in range(USUAL):
            ends[np.uint64(count + i)] = at + trailing_zeros(marks)
            marks &= marks - _ONE
        place = count + USUAL
        while marks != _NONE:
            ends[np.uint64(place)] = at + trailing_zeros(marks)
            marks &= marks - _ONE
            place += 1
        count += more
        if closing != _NONE:
            return ends[np.uint64(count - 1)] + 1 if count == width else np.int64(-1)
        at += 64
    return np.int64(-1)


@compiled
def read_values(at: Any, ends: Int64, row: Float32) -> bool:
    """Whether numbers and nulls stood from `at` on, up to each of the ends: then they are in the row."""
    for column in range(len(row)):
        end = ends[column]
        begin = at + np.int64(byte_at(at) == 32)
        while _is_space(byte_at(begin)):
            begin += 1
        value, well = _value(begin, end)
        if not well:
            return False
        row[column] = value
        at = end + 1
    return True


@compiled(inline="always")
def _value(begin: Any, end: Any) -> tuple[Any, Any]:
    """(value, well) of the number or null in [begin, end), which may have space behind it."""
    if byte_at(begin) == _N:
        return np.nan, _is_null(begin, end)
    value, well = float32_number(begin, end)
    if not well:
        value, well = _before_space(begin, end)
    return value, well


@compiled
def _before_space(begin: Any, end: Any) -> tuple[Any, Any]:
    return float32_number(begin, _without_space(begin, end))


@compiled
def _is_space(byte: Any) -> Any:
    return (byte <= 32) & ((byte == 32) | (byte == 10) | (byte == 13) | (byte == 9))


@compiled
def _is_null(begin: Any, end: Any) -> Any:
    null = (byte_at(begin) == _N) & (byte_at(begin + 1) == _U) & (byte_at(begin + 2) == _L)
    return null & (byte_at(begin + 3) == _L) & (_without_space(begin, end) == begin + 4)


@compiled
def _without_space(begin: Any, end: Any) -> Any:
    """Where the text in [begin, end) ends before space."""
    while end > begin and _is_space(byte_at(end - 1)):
        end -= 1
    return end


@compiled
def _dense_rows(buffer: UInt8, nested: bool, matrix: Float32) -> bool:
    """Whether the buffer held arrays of numbers for the whole matrix: on end, or `nested` in one array."""
    rows, width = matrix.shape
    # First where each number ends, then the numbers: none waits for the one before it.
    ends = np.empty(width + USUAL, np.int64)
    start = address(buffer)
    limit = start + len(buffer) - AFTER
    at: Any = np.int64(BEFORE)
    if nested:
        at = skip_space(buffer, at)
        if buffer[at] != _OPEN_LIST:
            return False
        at += 1
    for row in range(rows):
        at = skip_space(buffer, at)
        if buffer[at] != _OPEN_LIST:
            return False
        after = find_ends(start + at + 1, limit, width, ends)
        if after < 0 or not read_values(start + at + 1, ends, matrix[row]):
            return False
        at = after - start
        if nested:
            at = skip_space(buffer, at)
            if buffer[at] != (_COMMA if row + 1 < rows else _CLOSE_LIST):
                return False
            at += 1
    return bool(skip_space(buffer, at) == len(buffer) - AFTER)


@compiled
def _name(buffer: UInt8, at: Any, text: UInt8, starts: Int64, slots: Int32, guess: Any) -> tuple[Any, Any]:
    """(place after the closing quote, column or -1) of the name whose opening quote is before `at`."""
    if guess >= 0:
        end = at + starts[guess + 1] - starts[guess]
        if (
            end <= len(buffer) - AFTER
            and buffer[end] == _QUOTE
            and is_name(buffer, at, end - at, text, starts, guess)
        ):
            return end + 1, guess
    state: Any = hash_start()
    end = at
    while buffer[end] != _QUOTE:
        if buffer[end] < 32 or buffer[end] == _BACKSLASH:
            return at, np.int64(-1)
        state = hash_step(state, buffer[end])
        end += 1
    return end + 1, find(buffer, at, end - at, state, text, starts, slots)


@compiled
def _named_rows(buffer: UInt8, text: UInt8, starts: Int64, slots: Int32, matrix: Float32) -> bool:
    """Whether the buffer held objects of known names for the whole matrix; what is absent there stays."""
    lead = new_lead(matrix.shape[1])
    at: Any = np.int64(BEFORE)
    for row in range(len(matrix)):
        at = skip_space(buffer, at)
        if buffer[at] != _OPEN_MAP:
            return False
        at = named_row(buffer, at, text, starts, slots, lead, matrix[row])
        if at < 0:
            return False
    return bool(skip_space(buffer, at) == len(buffer) - AFTER)


@compiled
def new_lead(width: int) -> Int64:
    """int64 [3, places]: what is known of each place of an object: nothing yet.

    Callers name the same features in the same order for every candidate. So for each place we keep its
    column, and where the text stood that led to its value, from the brace or comma before the name to the
    first byte of the value, and how long it was.
    """
    lead = np.zeros((3, width), np.int64)
    lead[0] = -1
    lead[2] = LEAD + 1
    return lead


@compiled
def named_row(
    buffer: UInt8, at: Any, text: UInt8, starts: Int64, slots: Int32, lead: Int64, row: Float32
) -> Any:
    """The place after the object of known names that begins at `at`, its values in the row; or -1."""
    start = address(buffer)
    limit = start + len(buffer) - AFTER
    last = skip_space(buffer, at + 1)
    place, at = 0, start + at
    if buffer[last] == _CLOSE_MAP:
        at = start + last
    while byte_at(at) != _CLOSE_MAP:
        if place == len(row):
            return np.int64(-1)
        if lead[2, place] <= LEAD and _begins_alike(at, lead[1, place], lead[2, place]):
            column, begin = lead[0, place], at + lead[2, place]
        else:
            inside = skip_space(buffer, at + 1 - start)
            if buffer[inside] != _QUOTE:
                return np.int64(-1)
            inside, column = _name(buffer, inside + 1, text, starts, slots, lead[0, place])
            if column < 0:
                return np.int64(-1)
            inside = skip_space(buffer, inside)
            if buffer[inside] != _COLON:
                return np.int64(-1)
            begin = start + skip_space(buffer, inside + 1)
            lead[0, place], lead[1, place], lead[2, place] = column, at, begin - at
        while _is_space(byte_at(begin)):
            begin += 1
        at = _value_end(begin, limit)
        value, well = _value(begin, at)
        if not well:
            return np.int64(-1)
        row[column] = value
        place += 1
    return at + 1 - start


@compiled(inline="always")
def _begins_alike(one: Any, other: Any, length: Any) -> Any:
    """Whether the first 1 to 32 bytes from both places on are the same."""
    return trailing_zeros(~texts_equal(one, other)) >= length


@compiled(inline="always")
def _value_end(at: Any, limit: Any) -> Any:
    """The first comma or closing brace from here on, or a place behind the text, which ends no value."""
    while at < limit:
        marks = bytes_equal(at, _COMMA) | bytes_equal(at, _CLOSE_MAP)
        if marks != _NONE:
            return at + trailing_zeros(marks)
        at += 64
    return limit


def _scan_each_form() -> None:
    names = name_table(("a",))
    scan_rows([b"[0]"], names)
    scan_rows([b'{"a": 0}'], names)
    scan_matrix(b"[[0]]", 1, 1)


SCANNING = warms("scanning of requests", _scan_each_form)
