"""Parquet in and out, by pandas and pyarrow (extra `parquet`).

One row a document: `qid` and `label`, optionally `document`, `weight` and `position`; every other column
is a feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ranking.dataset import Missing, RankingDataset
from ranking.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    import pandas as pd

_SUFFIXES = (".parquet", ".pq")
_OPTIONAL = ("document", "weight", "position")


def is_parquet(file: str | Path) -> bool:
    return str(file).endswith(_SUFFIXES)


def read_parquet(
    files: Sequence[str | Path], *, missing: Missing = "nan", regroup: bool = False
) -> RankingDataset:
    """The lists of these Parquet files, in order; null is NaN, or 0 with missing="zero"."""
    frames = [_read(Path(file)) for file in files]
    import pandas as pd

    frame = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
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
        return pd.read_parquet(file)
    except OSError as error:
        raise DataError(f"{file}: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{file} is not Parquet: {error}") from error


def _need_pyarrow() -> None:
    if find_spec("pyarrow") is None:
        raise MissingExtraError("Parquet", "parquet")
