"""Parquet in and out, by pandas and pyarrow (extra `parquet`).

One row a document: `qid` and `label`, optionally `document`, `weight`, `position` and `target` (a teacher's
score); every other column is a feature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ranking.data.dataset import Missing, RankingDataset
from ranking.errors import DataError, MissingExtraError, nearest

if TYPE_CHECKING:
    import pandas as pd

_SUFFIXES = (".parquet", ".pq")
_OPTIONAL = ("document", "weight", "position", "target")
_IDS = ("qid", "document")
_NUMBERS = {
    "integer": "whole numbers",
    "floating": "floating-point numbers",
    "mixed-integer-float": "floating-point numbers",
    "decimal": "decimal numbers",
    "boolean": "true and false",
}
"""What pandas' infer_dtype finds, in words."""
_LISTED = 3


def is_parquet(file: str | Path) -> bool:
    return str(file).endswith(_SUFFIXES)


def read_parquet(
    files: Sequence[str | Path], *, missing: Missing = "nan", regroup: bool = False
) -> RankingDataset:
    """The lists of these Parquet files, in order; null is NaN, or 0 with missing="zero".

    Files are parts of one table: all have the same columns (in any order), of the same kind. Raises DataError
    naming the parts and the column otherwise.
    """
    frames = [_read(Path(file)) for file in files]
    import pandas as pd

    parts = dict(zip(map(str, files), frames, strict=True))
    _check_columns(parts)
    _check_kinds(parts)
    frame = pd.concat(map(_as_objects, frames), ignore_index=True) if len(frames) > 1 else frames[0]
    found = {name: name for name in _OPTIONAL if name in frame.columns}
    try:
        dataset = RankingDataset.from_pandas(frame, regroup=regroup, **found)
    except DataError as error:
        raise DataError(f"{', '.join(map(str, files))}: {error}") from error
    if missing == "nan":
        return dataset
    return replace(dataset, features=np.nan_to_num(dataset.features, nan=0.0), trusted=True)


def write_parquet(dataset: RankingDataset, file: str | Path) -> None:
    """One row a document, as `read_parquet` takes them."""
    _need_pyarrow()
    try:
        dataset.to_pandas().to_parquet(file, index=False)
    # Two columns of one name are a ValueError there.
    except (OSError, ValueError) as error:
        raise DataError(f"cannot write {file}: {error}") from error


def _read(file: Path) -> pd.DataFrame:
    _need_pyarrow()
    import pandas as pd

    if not file.exists():
        raise DataError(f"{file}: no such file")
    try:
        frame = pd.read_parquet(file)
        # Whole numbers with nulls among them come as floats: document 7 would be '7.0'.
        for name in {*_IDS}.intersection(frame.columns):
            if frame[name].dtype.kind == "f":
                frame[name] = pd.read_parquet(file, columns=[name], dtype_backend="numpy_nullable")[name]
        return frame
    except OSError as error:
        raise DataError(f"{file}: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{file} is not Parquet: {error}") from error


def _check_columns(parts: Mapping[str, pd.DataFrame]) -> None:
    """Refuse parts with other columns than the rest: joined, they would be missing values in some."""
    columns = {file: list(frame.columns) for file, frame in parts.items()}
    faults = []
    for name in dict.fromkeys(name for there in columns.values() for name in there):
        having = [file for file, there in columns.items() if name in there]
        lacking = [file for file, there in columns.items() if name not in there]
        if lacking:
            strangers = [other for other in columns[lacking[0]] if other not in columns[having[0]]]
            near = _nearest(str(name), list(map(str, strangers)))
            hint = "" if near is None else f" ({lacking[0]} has {near!r}: is that the same?)"
            faults.append(f"{_some(having)} has the column {str(name)!r}, {_some(lacking)} does not{hint}")
    if faults:
        raise DataError(
            f"the parts of one table must have the same columns: {_some(faults, '; ')}. "
            "Rename or add the columns, or read the files one by one"
        )


def _nearest(name: str, others: Sequence[str]) -> str | None:
    """The one that `name` may have been meant to be: but for case and blanks the same, or spelt alike."""
    alike = {other.strip().casefold(): other for other in others}
    near = nearest(name.strip().casefold(), alike, 0.8)
    return None if near is None else alike[near]


def _check_kinds(parts: Mapping[str, pd.DataFrame]) -> None:
    """Refuse parts whose column holds another kind of value, such as qid 7 in one and 7.0 in the other."""
    for name in next(iter(parts.values())).columns:
        kinds: dict[str, list[str]] = {}
        for file, frame in parts.items():
            if frame[name].notna().any():
                kinds.setdefault(_kind(frame[name], exactly=name in _IDS), []).append(file)
        if len(kinds) > 1:
            (one, first), (other, second) = list(kinds.items())[:2]
            raise DataError(
                f"column {str(name)!r} holds {one} in {_some(first)} and {other} in {_some(second)}: "
                "write it with one type in all parts"
            )


def _kind(column: pd.Series, *, exactly: bool) -> str:
    """The kind of values, in words; all numbers are of one, except in ids, where 7 and 7.0 are two."""
    import pandas as pd

    found = pd.api.types.infer_dtype(column, skipna=True)
    if found == "categorical":
        found = pd.api.types.infer_dtype(column.cat.categories)
    words = _NUMBERS.get(found, "text" if found == "string" else found)
    return "numbers" if found in _NUMBERS and not exactly else words


def _as_objects(frame: pd.DataFrame) -> pd.DataFrame:
    """Ids as they are, so that joining does not bring int64 and uint64, or nulls, together as floats."""
    return frame.astype({name: object for name in _IDS if name in frame.columns})


def _some(texts: Sequence[str], between: str = ", ") -> str:
    """The first few of them, and how many more there are."""
    more = f" and {len(texts) - _LISTED} more" if len(texts) > _LISTED else ""
    return between.join(texts[:_LISTED]) + more


def _need_pyarrow() -> None:
    if find_spec("pyarrow") is None:
        raise MissingExtraError("Parquet", "parquet")
