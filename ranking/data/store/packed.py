"""Rows that do not change: a float32 matrix in a memory-mapped file, and a table from id to row.

    matrix.npy                    float32 [ids, features]
    text.npy, starts.npy, slots.npy   the ids, as `ranking.compiled.names` lays them out
    names.json                    the feature names

Nothing is read at opening but the headers; the pages that are asked for are shared by all processes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ranking.compiled.names import NameTable, name_table, places
from ranking.data.arrays import Float32, Int64
from ranking.data.atomic import to_disk, write_folder
from ranking.errors import DataError

_PARTS = {"text": np.uint8, "starts": np.int64, "slots": np.int32}


class PackedRows:
    """The rows of a folder that `write_packed` wrote. Raises DataError where it is damaged."""

    def __init__(self, folder: Path) -> None:
        try:
            names = json.loads((folder / "names.json").read_text())
            self._matrix: Float32 = np.load(folder / "matrix.npy", mmap_mode="r", allow_pickle=False)
            parts = {
                part: np.load(folder / f"{part}.npy", mmap_mode="r", allow_pickle=False) for part in _PARTS
            }
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{folder} is no feature matrix: {error}; build it again") from error
        _check(folder, names, self._matrix, parts)
        self.feature_names: tuple[str, ...] = tuple(names)
        # Plain views: a memmap's own indexing costs ten times as much.
        self._matrix = np.asarray(self._matrix)
        self._table = NameTable(*(np.asarray(parts[part]) for part in _PARTS))

    def __len__(self) -> int:
        return len(self._matrix)

    def find(self, ids: Sequence[str]) -> tuple[Float32, Int64]:
        """(float32 [ids, features], int64 places of unknown ids, whose rows are NaN)."""
        found = places(ids, self._table)
        unknown = np.flatnonzero(found < 0)
        rows = self._matrix[np.maximum(found, 0)] if len(self) else self._empty(len(ids))
        rows[unknown] = np.nan
        return rows, unknown

    def _empty(self, count: int) -> Float32:
        return np.empty((count, len(self.feature_names)), np.float32)


def _check(folder: Path, names: object, matrix: Float32, parts: dict[str, np.ndarray]) -> None:
    """Everything compiled code relies on, but the bytes of the ids: any of them are some id."""
    starts, slots = parts["starts"], parts["slots"]
    sound = (
        isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and matrix.dtype == np.float32
        and matrix.ndim == 2
        and matrix.shape[1] == len(names)
        and all(part.ndim == 1 and part.dtype == _PARTS[name] for name, part in parts.items())
        and len(starts) == len(matrix) + 1
        and len(slots) > len(matrix)
        and len(slots) & (len(slots) - 1) == 0
        and starts[0] == 0
        and bool((np.diff(starts) >= 0).all())
        and starts[-1] + 8 <= len(parts["text"])
        and slots.min() >= -1
        and slots.max() < len(matrix)
        and slots.min() == -1
    )
    if not sound:
        raise DataError(f"{folder}: its files do not belong together; build it again")


def write_packed(folder: Path, feature_names: Sequence[str], ids: Sequence[str], matrix: Float32) -> None:
    """Write the rows into an empty folder; ids are distinct."""
    parts: dict[str, Any] = {"matrix": np.ascontiguousarray(matrix, np.float32), **name_table(ids)._asdict()}
    for part, values in parts.items():
        with (folder / f"{part}.npy").open("xb") as stream:
            np.save(stream, values)
            to_disk(stream)
    write_folder(folder, {"names.json": json.dumps(list(feature_names)).encode()})
