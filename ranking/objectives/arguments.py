"""What objectives are given, checked: parameters that must be numbers, scores that must be finite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ranking.errors import DataError, UsageError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ranking.data.arrays import Float64
    from ranking.data.dataset import RankingDataset


def check_positive(**numbers: Any) -> None:
    """Raise UsageError for a parameter that is not a finite number above 0."""
    for name, value in numbers.items():
        if not _is_number(value) or value <= 0:
            raise UsageError(f"{name} must be a positive number, got {value!r}")


def check_at_least(least: float, **numbers: Any) -> None:
    """Raise UsageError for a parameter that is not a finite number from `least`."""
    for name, value in numbers.items():
        if not _is_number(value) or value < least:
            raise UsageError(f"{name} must be a number of at least {least:g}, got {value!r}")


def check_switches(**switches: Any) -> None:
    """Raise UsageError for a parameter that is neither true nor false."""
    for name, value in switches.items():
        if not isinstance(value, bool):
            raise UsageError(f"{name} must be true or false, got {value!r}")


def check_choice(name: str, value: Any, choices: Iterable[str]) -> None:
    """Raise UsageError for a parameter that is none of these words."""
    if value not in list(choices):
        raise unknown_name(name, str(value), choices)


def check_scores(scores: Any, dataset: RankingDataset) -> Float64:
    """The scores as contiguous float64, refused where they are not one finite number a document."""
    at = np.ascontiguousarray(scores, np.float64)
    if at.shape != (dataset.document_count,):
        raise DataError(f"scores must be [{dataset.document_count}] for this data set, got {at.shape}")
    if not np.isfinite(at).all():
        row = int(np.flatnonzero(~np.isfinite(at))[0])
        raise DataError(
            f"the score of row {row} (query {dataset.query_of(row)}) is {at[row]}: scores must be finite"
        )
    return at


def row_weights(dataset: RankingDataset) -> Float64:
    """The weight of each document in a sum over documents: its own, or its query's, or 1."""
    weights = dataset.document_weights
    if weights is not None:
        return weights
    per_query = dataset.query_weights
    return np.ones(dataset.document_count) if per_query is None else np.repeat(per_query, dataset.sizes)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))
