"""A teacher's scores from a text file: one number a row of the data, in its order."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from ranking.data.arrays import Float32
from ranking.errors import DataError


def read_targets(file: Path, count: int) -> Float32:
    """The numbers of a file, plain or `.gz`, one on each line; float32 [count].

    Raises DataError, naming FILE:LINE, for a line that is no finite number, and where there are not `count`.
    """
    try:
        content = file.read_bytes()
        text = (gzip.decompress(content) if file.suffix == ".gz" else content).decode()
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror or error}") from error
    except (EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{file} is not text, one number a line: {error}") from error
    lines = text.splitlines()
    if len(lines) != count:
        raise DataError(
            f"{file}:{min(len(lines), count) + 1}: {len(lines)} numbers for {count} documents: give one a "
            "row of the data, in its order"
        )
    targets = np.empty(count, np.float32)
    for row, line in enumerate(lines):
        targets[row] = _number(file, row + 1, line)
    return targets


def _number(file: Path, line: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise DataError(f"{file}:{line}: a number is expected, got {text[:40]!r}") from None
    if not math.isfinite(value) or abs(value) > float(np.finfo(np.float32).max):
        raise DataError(f"{file}:{line}: targets must be finite in single precision, got {text[:40]!r}")
    return value
