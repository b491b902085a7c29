"""The columns of a data set as boosters take them: their names, and which of them hold categories."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ranking.data.dataset import RankingDataset
from ranking.errors import DataError, UsageError, unknown_name

_MOST = 1 << 24
"""float32 holds whole numbers up to this, and XGBoost takes no larger category."""

_NOT_IN_NAMES = r'[\x00-\x20\x7f",:\[\]{}<>=\ud800-\udfff]|\s'
"""What one of the two boosters refuses in a name, or its model text could not hold."""


def categorical_columns(categorical: Sequence[int | str], dataset: RankingDataset) -> tuple[int, ...]:
    """The columns (from 0) of these features, each a LETOR number (from 1) or a name.

    Raises UsageError for a feature that the data does not have.
    """
    names = [dataset.name_of(column) for column in range(dataset.feature_count)]
    found = set()
    for feature in categorical:
        if isinstance(feature, str):
            if feature not in names:
                raise unknown_name("feature in categorical", feature, names)
            found.add(names.index(feature))
        elif feature > len(names):
            raise UsageError(
                f"categorical names feature {feature}, and the data has the features 1 to {len(names)}"
            )
        else:
            found.add(feature - 1)
    return tuple(sorted(found))


def check_categories(columns: Sequence[int], dataset: RankingDataset) -> None:
    """Raise DataError for a value of these columns that is no category: one is a whole number from 0."""
    for column in columns:
        values = dataset.features[:, column]
        bad = np.flatnonzero(
            ~np.isnan(values) & ~((values >= 0) & (values < _MOST) & (values == np.floor(values)))
        )
        if len(bad):
            row = int(bad[0])
            raise DataError(
                f"feature {dataset.name_of(column)} is categorical, and row {row} (query "
                f"{dataset.query_of(row)}) has {values[row]:.9g}: a category is a whole number from 0 to "
                f"{_MOST - 1}; number the categories, or leave the feature out of `categorical`"
            )


def booster_names(dataset: RankingDataset) -> list[str]:
    """The features' names, or numbers (from 1), distinct and without what a booster refuses."""
    columns = range(dataset.feature_count)
    names = [re.sub(_NOT_IN_NAMES, "_", dataset.name_of(column)) or "_" for column in columns]
    if len(set(names)) < len(names):
        return [f"{name}_{number}" for number, name in enumerate(names, 1)]
    return names
