"""From LETOR, Parquet or CSV to a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ranking.data.arrays import Float32
from ranking.data.store.opening import is_redis
from ranking.errors import DataError, UsageError


@dataclass(frozen=True)
class Table:
    """ids [rows], distinct; matrix float32 [rows, features], NaN for missing."""

    feature_names: tuple[str, ...]
    ids: list[str]
    matrix: Float32


def build_store(address: str, table: Table) -> None:
    """Write the rows to the store at this address: a folder's are replaced, a Redis server's added to."""
    if is_redis(address):
        from ranking.data.store.remote import RedisStore

        store = RedisStore.create(address, table.feature_names)
        store.put(table.ids, table.matrix)
        store.close()
        return
    from ranking.data.store.local import build_local

    build_local(Path(address), table.feature_names, table.ids, table.matrix)


def read_table(files: Sequence[str], id_column: str = "id", names: Sequence[str] | None = None) -> Table:
    """The rows of CSV or Parquet files (`id_column` and numbers), or of LETOR text (`# docid = ID`).

    `names` are those of LETOR's features 1, 2, …. Raises DataError naming the file: no ids, an id with two
    different rows, a column that holds no numbers.
    """
    kinds = {_kind(file) for file in files}
    if len(kinds) != 1:
        raise UsageError(f"files of several formats ({', '.join(sorted(kinds))}): convert them to one first")
    table = _from_letor(files, names) if kinds == {"letor"} else _from_frames(files, id_column)
    return _distinct(table, files)


def _kind(file: str) -> str:
    suffix = Path(file.removesuffix(".gz")).suffix.lower()
    return {".csv": "csv", ".parquet": "parquet", ".pq": "parquet"}.get(suffix, "letor")


def _from_letor(files: Sequence[str], names: Sequence[str] | None) -> Table:
    from ranking.data.letor import read_letor

    data = read_letor(list(files), missing="nan")
    if data.document_ids is None:
        raise DataError(f"{files[0]}: its lines have no document ids: write them as `# docid = ID`")
    named = data.feature_names if names is None else names
    found = tuple(named or (str(column + 1) for column in range(data.feature_count)))
    if len(found) != data.feature_count:
        raise UsageError(f"{len(found)} feature names for {data.feature_count} features")
    return Table(found, [str(name) for name in data.document_ids], data.features)


def _from_frames(files: Sequence[str], id_column: str) -> Table:
    import pandas as pd

    tables = []
    for file in files:
        try:
            frame = (
                pd.read_csv(file, dtype={id_column: str}) if _kind(file) == "csv" else pd.read_parquet(file)
            )
        except (OSError, ValueError) as error:
            raise DataError(f"{file} cannot be read: {error}") from error
        if id_column not in frame.columns:
            raise DataError(f"{file} has no column {id_column!r}: name the one that holds the ids with --id")
        if frame[id_column].isna().any():
            row = int(np.argmax(frame[id_column].isna()))
            raise DataError(f"{file}: row {row + 1} has no {id_column}")
        features = frame.drop(columns=[id_column])
        try:
            with np.errstate(over="ignore"):  # an infinite value is found below, with its id
                matrix = features.to_numpy(np.float32, na_value=np.nan)
        except (TypeError, ValueError):
            wrong = [str(name) for name in features if not pd.api.types.is_numeric_dtype(features[name])]
            raise DataError(f"{file}: column {wrong[0]!r} holds no numbers: leave it out") from None
        tables.append(Table(tuple(map(str, features.columns)), frame[id_column].astype(str).tolist(), matrix))
    first = tables[0]
    for file, table in zip(files, tables, strict=True):
        if table.feature_names != first.feature_names:
            raise DataError(f"{file} has other columns than {files[0]}")
    ids = [name for table in tables for name in table.ids]
    return Table(first.feature_names, ids, np.concatenate([table.matrix for table in tables]))


def _distinct(table: Table, files: Sequence[str]) -> Table:
    """Each id once. Raises DataError where one has two rows that differ, or a value is infinite."""
    if np.isinf(table.matrix).any():
        row = int(np.argwhere(np.isinf(table.matrix))[0, 0])
        raise DataError(f"{', '.join(files)}: {table.ids[row]!r} has an infinite value")
    first: dict[str, int] = {}
    kept = []
    for row, name in enumerate(table.ids):
        seen = first.setdefault(name, row)
        if seen == row:
            kept.append(row)
        elif not np.array_equal(table.matrix[seen], table.matrix[row], equal_nan=True):
            raise DataError(
                f"{', '.join(files)}: {name!r} has two rows that differ (rows {seen + 1} and {row + 1}): "
                "a store holds features of documents, not of queries with documents"
            )
    if len(kept) == len(table.ids):
        return table
    return Table(table.feature_names, [table.ids[row] for row in kept], table.matrix[kept])
