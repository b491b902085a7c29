"""A teacher's scores in a file: one number a row of the data, in its order."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ranking.data.arrays import Float32
from ranking.errors import DataError

_GZIP = b"\x1f\x8b"
_LARGEST = float(np.finfo(np.float32).max)


def read_targets(path: str | Path, count: int) -> Float32:
    """The numbers of a file, one on each line, plain or gzip (known by its content); float32 [count].

    Values equal float32(float(text)). Raises DataError, naming FILE:LINE, for a line that is no finite number
    and where there are not `count` of them; DataError for a file that cannot be read.
    """
    targets, number = np.empty(count, np.float32), 0
    for number, line in enumerate(_lines(Path(path)), 1):
        if number > count:
            raise DataError(
                f"{path}:{number}: expected the end after {count} numbers, one for each row of the data, "
                f"got {_shown(line)}; leave out what has no row, or name the data that it belongs to"
            )
        value = _number(line)
        if value is None:
            raise DataError(
                f"{path}:{number}: expected a number, got {_shown(line)}; "
                "write one number a line, in the order of the data's rows, and nothing else"
            )
        if not abs(value) <= _LARGEST:
            raise DataError(
                f"{path}:{number}: expected a finite number in single precision, got {_shown(line)}; "
                "give the row a score, or take it out of the data"
            )
        targets[number - 1] = value
    if number < count:
        raise DataError(
            f"{path}:{number + 1}: expected {count} numbers, one for each row of the data, got {number}; "
            "write those of the other rows too, in their order"
        )
    return targets


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            packed = file.peek(2).startswith(_GZIP)
            with gzip.open(file) if packed else file as lines:
                yield from lines
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: damaged gzip data ({error}): copy or write it again") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def _number(line: bytes) -> float | None:
    """The number of a line, which may be infinite or NaN; None where there is none."""
    try:
        return None if b"_" in line else float(line)
    except ValueError:
        return None


def _shown(line: bytes) -> str:
    return repr(line.strip()[:40].decode("utf-8", "backslashreplace"))
