"""Features of candidates that came with an id alone, from a store to the model's columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ranking.data.arrays import Float32, Int64
from ranking.errors import RankwrightError
from service.answers.batch import NAMED_IDS
from service.echo import cut, shown
from service.errors import RETRY_AFTER, ApiError, invalid
from service.models.table import Model

if TYPE_CHECKING:
    from ranking.data.store import FeatureStore


class StoredFeatures:
    """A store behind the models: columns the store does not have are missing; `context` may give them.

    With `unknown="error"` an id that is not in the store is a 422, with "missing" a row without features.
    """

    def __init__(self, store: FeatureStore, unknown: str) -> None:
        self.store = store
        self._unknown = unknown
        self._columns: dict[tuple[tuple[str, ...], tuple[str, ...]], Int64] = {}

    def __call__(self, ids: Sequence[str], model: Model) -> Float32:
        """float32 [ids, features]; an id that comes twice is asked for once."""
        distinct = list(dict.fromkeys(ids))
        features = self._features(distinct, model)
        if len(distinct) == len(ids):
            return features
        place = {name: row for row, name in enumerate(distinct)}
        return features[[place[name] for name in ids]]

    def _features(self, ids: Sequence[str], model: Model) -> Float32:
        rows, unknown = self.rows(ids)
        if len(unknown) and self._unknown == "error":
            named = [ids[place] for place in unknown[:NAMED_IDS]]
            raise invalid(
                "unknown_id",
                f"{len(unknown)} ids are not in the feature store: {', '.join(map(shown, named))}",
                path="candidates",
                ids=list(map(cut, named)),
            )
        names = self.store.feature_names
        if names == model.feature_names:
            return rows
        columns = self._columns_of(names, model)
        full = np.full((len(ids), model.feature_count), np.nan, np.float32)
        held = columns >= 0
        full[:, held] = rows[:, columns[held]]
        return full

    def rows(self, ids: Sequence[str]) -> tuple[Float32, Int64]:
        """As the store's; ApiError 503 where it does not answer."""
        try:
            return self.store.rows(ids)
        except RankwrightError as error:
            raise unavailable(error) from error

    def _columns_of(self, names: tuple[str, ...], model: Model) -> Int64:
        """The store's column of each feature of the model, -1 for none. Few pairs exist: they are kept."""
        key = (names, model.feature_names)
        columns = self._columns.get(key)
        if columns is None:
            place = {name: column for column, name in enumerate(names)}
            columns = np.array([place.get(name, -1) for name in model.feature_names], np.int64)
            if (columns < 0).all():
                raise invalid(
                    "store_mismatch",
                    "the feature store has none of the model's features",
                    expected=list(model.feature_names),
                )
            self._columns[key] = columns
        return columns


def unavailable(error: RankwrightError) -> ApiError:
    """The store is away or damaged: a fault that may pass."""
    return ApiError(503, "store_unavailable", str(error), headers=RETRY_AFTER)
