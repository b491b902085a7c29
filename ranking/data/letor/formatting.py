"""The compiled writer of rows: each float32 in the fewest decimal digits that read back to its bits.

For n = 1, 2, ... the nearest decimal of n digits is tried, until the reader's own arithmetic (one exact
double operation, then the cast) gives the number back. That covers 1e-13 to 1e22; the few values beyond come
as texts.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ranking.compiled.jit import compiled
from ranking.data.arrays import Float32, Int64

UInt8 = npt.NDArray[np.uint8]

SMALLEST, LARGEST = 1e-13, 1e22
"""Magnitudes the kernel formats itself; zero too."""
FEATURE_BYTES = 48
"""No ` id:number` is longer."""

_POWERS = np.array([float(f"1e{k}") for k in range(23)])
_MOST_DIGITS = 10
_ZERO, _DOT, _MINUS, _EXPONENT, _SPACE, _COLON, _LF = (ord(c) for c in "0.-e :\n")
_QID = np.frombuffer(b" qid:", np.uint8)
_DOCID = np.frombuffer(b" #docid = ", np.uint8)


@compiled
def _put_integer(out: UInt8, at: int, value: int) -> int:
    length, rest = 1, value // 10
    while rest > 0:
        length += 1
        rest //= 10
    for i in range(at + length - 1, at - 1, -1):
        out[i] = _ZERO + value % 10
        value //= 10
    return at + length


@compiled
def _put_text(out: UInt8, at: int, data: UInt8, start: int, stop: int) -> int:
    for i in range(start, stop):
        out[at] = data[i]
        at += 1
    return at


@compiled
def _shortest(value: float, wanted: Any) -> tuple[int, int]:
    """(mantissa, decimals): value = mantissa / 10^decimals in the fewest digits whose float32 is `wanted`."""
    exponent = math.floor(math.log10(value))
    mantissa, decimals = 0, 0
    for digits in range(1, _MOST_DIGITS + 1):
        decimals = digits - 1 - exponent
        if decimals >= 0:
            mantissa = int(np.rint(value * _POWERS[decimals]))
            back = mantissa / _POWERS[decimals]
        else:
            mantissa = int(np.rint(value / _POWERS[-decimals]))
            back = mantissa * _POWERS[-decimals]
        if np.float32(back) == wanted:
            break
    while mantissa % 10 == 0:
        mantissa //= 10
        decimals -= 1
    return mantissa, decimals


@compiled
def _put_number(out: UInt8, at: int, number: Any) -> int:
    """Writes zero, or a number of 1e-13 to 1e22, as 12, 0.5 or 1.2e-7."""
    value = np.float64(number)
    if math.copysign(1.0, value) < 0:
        out[at] = _MINUS
        at += 1
        value, number = -value, -number
    if value == 0 or (value < 1e7 and value == math.floor(value)):
        return _put_integer(out, at, int(value))
    mantissa, decimals = _shortest(value, number)
    end = _put_integer(out, at, mantissa)
    length = end - at
    if decimals <= 0 and length - decimals <= 10:
        for _ in range(-decimals):
            out[end] = _ZERO
            end += 1
        return end
    if 0 < decimals < length:
        return _put_point(out, at + length - decimals, end)
    if 0 < decimals <= length + 4:
        zeros = decimals - length + 2  # "0." and those after it
        for i in range(end - 1, at - 1, -1):
            out[i + zeros] = out[i]
        for i in range(zeros):
            out[at + i] = _ZERO
        out[at + 1] = _DOT
        return end + zeros
    if length > 1:
        end = _put_point(out, at + 1, end)
    out[end] = _EXPONENT
    end += 1
    power = length - 1 - decimals
    if power < 0:
        out[end] = _MINUS
        end += 1
    return _put_integer(out, end, abs(power))


@compiled
def _put_point(out: UInt8, place: int, end: int) -> int:
    """Inserts the point before `place`."""
    for i in range(end - 1, place - 1, -1):
        out[i + 1] = out[i]
    out[place] = _DOT
    return end + 1


@compiled
def format_rows(
    out: UInt8,
    features: Float32,
    labels: Float32,
    row_queries: Int64,
    first_id: int,
    with_qid: bool,
    query_data: UInt8,
    query_offsets: Int64,
    document_data: UInt8,
    document_offsets: Int64,
    odd_data: UInt8,
    odd_offsets: Int64,
) -> int:
    """Writes rows as text to `out` and returns its length. NaN features are left out.

    The odd texts stand for the numbers out of the kernel's range, in the order of the rows, label first.
    `document_offsets` has rows + 1 entries, or none; an empty id gets no comment.
    """
    at, odd = 0, 0
    for row in range(len(labels)):
        for column in range(-1, features.shape[1]):
            number = labels[row] if column < 0 else features[row, column]
            if math.isnan(number):
                continue
            if column >= 0:
                out[at] = _SPACE
                at = _put_integer(out, at + 1, column + first_id)
                out[at] = _COLON
                at += 1
            if number == 0 or SMALLEST <= abs(np.float64(number)) < LARGEST:
                at = _put_number(out, at, number)
            else:
                at = _put_text(out, at, odd_data, odd_offsets[odd], odd_offsets[odd + 1])
                odd += 1
            if column < 0 and with_qid:
                query = row_queries[row]
                at = _put_text(out, at, _QID, 0, len(_QID))
                at = _put_text(out, at, query_data, query_offsets[query], query_offsets[query + 1])
        if len(document_offsets) > 0 and document_offsets[row + 1] > document_offsets[row]:
            at = _put_text(out, at, _DOCID, 0, len(_DOCID))
            at = _put_text(out, at, document_data, document_offsets[row], document_offsets[row + 1])
        out[at] = _LF
        at += 1
    return at
