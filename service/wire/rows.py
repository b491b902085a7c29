"""Rows of numbers in JSON as float32: by the compiled scan, and one at a time where that says no."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from ranking.data.arrays import Float32
from service.errors import ApiError, invalid
from service.wire.bounds import SMALL, elements, head
from service.wire.decoding import decode_piece
from service.wire.messages import Value
from service.wire.scan import scan_matrix

_PIECES = msgspec.json.Decoder(list[msgspec.Raw])
_ROW = msgspec.json.Decoder(list[Value])


def read_table(piece: Any, height: int, width: int, first: int = 0) -> Float32:
    """float32 [height, width] of a JSON array of arrays, NaN for null; its first row is number `first`.

    Raises ApiError 422 with the place for another number of rows or values, and values of another type or
    beyond float32; 400 for numbers beyond float64.
    """
    matrix = scan_matrix(piece, height, width)
    if matrix is None:
        matrix = np.empty((height, width), np.float32)
        for index, row in enumerate(_pieces(piece, height)):
            _read_row(row, f"matrix[{first + index}]", matrix[index])
    return matrix


def write_row(values: Sequence[Value], row: Float32, place: Callable[[int], str]) -> None:
    """The values into a row, NaN where null came; ApiError 422 with the place of one beyond float32."""
    with np.errstate(over="ignore"):  # what overflows is found below, and named
        row[:] = np.array(values, np.float32)
    infinite = np.isinf(row)
    if infinite.any():
        column = int(np.flatnonzero(infinite)[0])
        where = place(column)
        raise invalid("out_of_range", f"{where}: {values[column]} is beyond float32", path=where)


def wrong_width(path: str, piece: Any, width: int, expected: str) -> ApiError:
    count = elements(piece)
    return invalid(
        "wrong_width", f"{path}: got {count} values, {expected}", path=path, expected=width, got=count
    )


def wrong_height(count: int, height: int) -> ApiError:
    return invalid("wrong_height", f"matrix has {count} rows for {height} ids", path="matrix")


def _pieces(piece: Any, height: int) -> list[msgspec.Raw]:
    if len(piece) > SMALL and (count := elements(piece)) > height:
        raise wrong_height(count, height)
    rows = decode_piece(_PIECES, piece, "matrix")
    if len(rows) != height:
        raise wrong_height(len(rows), height)
    return rows


def _read_row(piece: msgspec.Raw, path: str, row: Float32) -> None:
    width = len(row)
    values = decode_piece(_ROW, head(piece, width + 1), path)
    if len(values) != width:
        raise wrong_width(path, piece, width, f"columns names {width}")
    write_row(values, row, lambda column: f"{path}[{column}]")
