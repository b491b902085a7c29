"""Candidates as a matrix: float32 [candidates, features], in the model's order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from ranking.data.arrays import Float32, Int64
from service.answers.survey import survey
from service.echo import cut, nearest, shown
from service.errors import invalid
from service.models.table import Model
from service.wire.decoding import decode_named
from service.wire.ids import Ids
from service.wire.messages import NULL, RankWarning, Value

WARNED_FEATURES = 10
"""Features named for one reason in one reply; sparse callers would otherwise get one warning a feature."""
NAMED_IDS = 5
"""Ids named in one error."""

Context = Mapping[str, Value] | None

Lookup = Callable[[Sequence[str], Model], Float32]
"""Features of these ids from a store, float32 [ids, features]; ApiError for ids it does not have."""


@dataclass(frozen=True)
class Batch:
    """ids [candidates]; features float32 [candidates, features], missing by the model's policy.

    A candidate is known by its place: ids may come twice where a foreign dialect gave them.
    """

    ids: Ids
    features: Float32
    warnings: list[RankWarning]
    missing: Int64
    """How many candidates lack each feature, [features]."""
    outside: Int64
    """How many lie outside the range it had in training."""


def finished(ids: Ids, matrix: Float32, named: bool | list[int], context: Context, model: Model) -> Batch:
    """The batch of a matrix, which is changed: context for what is missing, then the model's policy.

    `named` are the rows, or says whether they are all, whose caller named the features, and may have left out
    one by mistake.
    """
    if context:
        _apply_context(matrix, context, model)
    missing, outside, noted, _ = survey(matrix, model.low, model.high)
    if not noted:
        return Batch(ids, matrix, [], missing, outside)
    absent = np.isnan(matrix)
    warned = missing if named is True else np.count_nonzero(absent[named or slice(0)], axis=0)
    warnings = [
        *_feature_warnings("missing_feature", "more_missing_features", warned, model),
        *_feature_warnings("outside_training_range", "more_outside_training_range", outside, model),
    ]
    if model.ranker.missing == "zero":
        matrix[absent] = 0.0
    return Batch(ids, matrix, warnings, missing, outside)


def read_context(text: msgspec.Raw, model: Model) -> Context:
    """Features of the query or the user by name. Raises ApiError for names the model does not have."""
    return None if text == NULL else read_named(text, "context", model)


def read_named(piece: msgspec.Raw, path: str, model: Model) -> dict[str, Value]:
    return decode_named(piece, path, lambda names: check_names(names, model, path))


def check_names(names: Iterable[str], model: Model, path: str) -> None:
    """Raises ApiError 422 for a name the model does not have."""
    unknown = next((name for name in names if name not in model.columns), None)
    if unknown is None:
        return
    near = nearest(unknown, model.feature_names)
    hint = f"; did you mean {near!r}?" if near else ""
    raise invalid(
        "unknown_feature",
        f"{path}: the model has no feature {shown(unknown)}{hint}",
        path=path,
        feature=cut(unknown),
        nearest=near,
        expected=list(model.feature_names),
    )


def _apply_context(matrix: Float32, context: Mapping[str, Value], model: Model) -> None:
    for name, value in context.items():
        if value is None:
            continue
        column = matrix[:, model.columns[name]]
        with np.errstate(over="ignore"):
            number = np.float32(value)
        if np.isinf(number):
            raise invalid(
                "out_of_range", f"context.{name}: {value} is beyond float32", path=f"context.{name}"
            )
        column[np.isnan(column)] = number


def _feature_warnings(code: str, more: str, counts: Int64, model: Model) -> list[RankWarning]:
    """The features with a count, and how many there are beyond those named."""
    columns = np.flatnonzero(counts)
    warnings = [
        RankWarning(code, model.feature_names[column], int(counts[column]))
        for column in columns[:WARNED_FEATURES]
    ]
    if len(columns) > WARNED_FEATURES:
        warnings.append(RankWarning(more, count=len(columns) - WARNED_FEATURES))
    return warnings
