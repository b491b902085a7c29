"""A rank request as a matrix: float32 [candidates, features], in the model's order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from msgspec import Raw

from ranking.data.arrays import Float32, Int64
from service.echo import cut, nearest, shown
from service.errors import ApiError, invalid
from service.models.table import Model
from service.wire.bounds import SMALL, elements, head, too_many_candidates
from service.wire.decoding import decode_named, decode_piece
from service.wire.messages import Features, Identifier, RankWarning, RawCandidate, RawRankRequest, Value
from service.wire.rows import read_table, write_row, wrong_width
from service.wire.scan import scan_rows

WARNED_FEATURES = 10
"""Features named for one reason in one reply; sparse callers would otherwise get one warning a feature."""
NAMED_IDS = 5
"""Ids named in one error."""

_FEATURES: msgspec.json.Decoder[Features] = msgspec.json.Decoder(Features)
_IDS = msgspec.json.Decoder(list[Identifier])
_NAMES = msgspec.json.Decoder(list[str])

Context = Mapping[str, Value] | None

Lookup = Callable[[Sequence[str], Model], Float32]
"""Features of these ids from a store, float32 [ids, features]; ApiError for ids it does not have."""


@dataclass(frozen=True)
class Batch:
    """ids [candidates]; features float32 [candidates, features], missing by the model's policy.

    A candidate is known by its place: ids may come twice where a foreign dialect gave them.
    """

    ids: list[str]
    features: Float32
    warnings: list[RankWarning]
    missing: Int64
    """How many candidates lack each feature, [features]."""
    outside: Int64
    """How many lie outside the range it had in training."""


def to_batch(
    request: RawRankRequest,
    model: Model,
    max_candidates: int,
    lookup: Lookup | None = None,
    *,
    distinct: bool = True,
) -> Batch:
    """The candidates of a request, in whichever form they came: by the compiled scan, else one at a time.

    `distinct` refuses an id that comes twice.

    Raises ApiError 422 naming the place: no form or two, no candidates or too many, an id twice, a row of
    another width, a name the model does not have, values of another type or beyond float32, no features and
    no store; 400 for numbers beyond float64.
    """
    table = {"ids": request.ids, "columns": request.columns, "matrix": request.matrix}
    absent = [name for name, part in table.items() if _is_null(part)]
    context = None
    if not _is_null(request.context):
        context = _named(request.context, "context", model)
    if request.candidates is not None:
        if len(absent) < 3:
            raise _form_error("got both")
        ids = [candidate.id for candidate in request.candidates]
        _check_ids(ids, max_candidates, "candidates", distinct=distinct)
        return _from_candidates(ids, request.candidates, context, model, lookup)
    if absent:
        raise _form_error("got neither" if len(absent) == 3 else f"got a table without {', '.join(absent)}")
    if len(request.ids) > SMALL and (count := elements(request.ids)) > max_candidates:
        raise too_many_candidates(count, max_candidates, "ids")
    ids = decode_piece(_IDS, request.ids, "ids")
    _check_ids(ids, max_candidates, "ids")
    # One more name than the model has features is one too many already: unknown, or twice.
    columns = decode_piece(_NAMES, head(request.columns, model.feature_count + 1), "columns")
    return _from_table(ids, columns, request.matrix, context, model)


def _is_null(raw: Raw) -> bool:
    return len(raw) == 4 and bytes(raw) == b"null"


def array_to_batch(ids: list[str] | None, matrix: Float32, model: Model, max_candidates: int) -> Batch:
    """The batch of a float32 matrix in the model's order; ids count from "0" where none are given."""
    if matrix.ndim != 2 or matrix.shape[1] != model.feature_count:
        raise invalid(
            "wrong_width",
            f"the array has shape {matrix.shape}, the model takes [candidates, {model.feature_count}]",
            expected=model.feature_count,
        )
    if ids is None:
        if len(matrix) > max_candidates:
            raise too_many_candidates(len(matrix), max_candidates, "ids")
        ids = [str(row) for row in range(len(matrix))]
    if len(ids) != len(matrix):
        raise invalid("wrong_height", f"{len(ids)} ids for {len(matrix)} rows", path="ids")
    _check_ids(ids, max_candidates, "ids")
    if np.isinf(matrix).any():
        row, column = (int(i) for i in np.argwhere(np.isinf(matrix))[0])
        raise invalid("out_of_range", f"row {row}, column {column} of the array is infinite")
    return _finish(ids, matrix.copy(), slice(0), None, model)


def _form_error(came: str) -> ApiError:
    return invalid(
        "wrong_form", f"expected either `candidates`, or `ids` with `columns` and `matrix`; {came}"
    )


def _check_ids(ids: Sequence[str], max_candidates: int, path: str, *, distinct: bool = True) -> None:
    if not ids:
        raise invalid("no_candidates", f"{path} is empty: send at least one candidate", path=path)
    if len(ids) > max_candidates:
        raise too_many_candidates(len(ids), max_candidates, path)
    if distinct and len(set(ids)) != len(ids):
        repeated = [name for name, count in Counter(ids).items() if count > 1][:NAMED_IDS]
        raise invalid(
            "duplicate_id",
            f"ids must be distinct; more than once: {', '.join(map(shown, repeated))}",
            path=path,
            ids=list(map(cut, repeated)),
        )


def _from_candidates(
    ids: list[str], candidates: Sequence[RawCandidate], context: Context, model: Model, lookup: Lookup | None
) -> Batch:
    given = [index for index, candidate in enumerate(candidates) if not _is_null(candidate.features)]
    if not given and lookup is not None:
        return _finish(ids, lookup(ids, model), slice(None), context, model)
    pieces = [candidates[index].features for index in given]
    matrix = scan_rows(pieces, model.names) if len(given) == len(ids) else None
    if matrix is not None:
        by_name = bytes(memoryview(pieces[0])[:1]) == b"{"
        return _finish(ids, matrix, slice(None if by_name else 0), context, model)
    matrix = np.empty((len(ids), model.feature_count), np.float32)
    named = [
        index
        for index, piece in zip(given, pieces, strict=True)
        if _read_features(piece, f"candidates[{index}].features", matrix[index], model)
    ]
    if len(given) < len(ids):
        stored = sorted(set(range(len(ids))).difference(given))
        matrix[stored] = _looked_up([ids[index] for index in stored], stored[0], model, lookup)
        named += stored
    return _finish(ids, matrix, named, context, model)


def _read_features(piece: Raw, path: str, row: Float32, model: Model) -> bool:
    """Write the features of a candidate into its row; whether they came by name."""
    width = model.feature_count
    # Of a list that is too long, more than the first part would only say the same.
    features = decode_piece(_FEATURES, head(piece, width + 1), path)
    if isinstance(features, dict):
        if len(piece) > SMALL:
            features = _named(piece, path, model)
        elif not features.keys() <= model.columns.keys():
            _check_names(features, model, path)
        values = list(map(features.get, model.feature_names))
        write_row(values, row, lambda column: f"{path}.{model.feature_names[column]}")
        return True
    assert features is not None, "what has no features is looked up"
    if len(features) != width:
        raise wrong_width(path, piece, width, f"the model takes {width}")
    write_row(features, row, lambda column: f"{path}[{column}]")
    return False


def _named(piece: Raw, path: str, model: Model) -> dict[str, Value]:
    return decode_named(piece, path, lambda names: _check_names(names, model, path))


def _looked_up(ids: list[str], first: int, model: Model, lookup: Lookup | None) -> Float32:
    if lookup is None:
        raise invalid(
            "no_features",
            f"candidates[{first}] has no features, and no feature store is configured to find them in",
            path=f"candidates[{first}].features",
        )
    return lookup(ids, model)


def _from_table(ids: list[str], columns: list[str], matrix: Raw, context: Context, model: Model) -> Batch:
    _check_columns(columns, model)
    return _from_columns(ids, columns, read_table(matrix, len(ids), len(columns)), context, model)


def _check_columns(columns: list[str], model: Model) -> None:
    if tuple(columns) == model.feature_names:
        return
    _check_names(columns, model, "columns")
    if len(set(columns)) != len(columns):
        repeated = next(name for name, count in Counter(columns).items() if count > 1)
        raise invalid("duplicate_column", f"columns names {shown(repeated)} twice", path="columns")


def _from_columns(
    ids: list[str], columns: list[str], given: Float32, context: Context, model: Model
) -> Batch:
    if tuple(columns) != model.feature_names:
        full = np.full((len(ids), model.feature_count), np.nan, np.float32)
        full[:, [model.columns[name] for name in columns]] = given
        given = full
    return _finish(ids, given, slice(None), context, model)


def _finish(
    ids: list[str], matrix: Float32, named: slice | list[int], context: Context, model: Model
) -> Batch:
    """Context for what is missing, then warnings, then the model's policy for what is still missing.

    `named` are the rows whose caller named the features, and may have left out one by mistake.
    """
    if context:
        _apply_context(matrix, context, model)
    absent = np.isnan(matrix)
    missing = np.count_nonzero(absent, axis=0)
    if isinstance(named, slice) and named.stop is None:
        warned = missing
    else:
        warned = np.count_nonzero(absent[named], axis=0)
    outside = np.count_nonzero((matrix < model.low) | (matrix > model.high), axis=0)
    warnings = [
        *_feature_warnings("missing_feature", "more_missing_features", warned, model),
        *_feature_warnings("outside_training_range", "more_outside_training_range", outside, model),
    ]
    if model.ranker.missing == "zero":
        matrix[absent] = 0.0
    return Batch(ids, matrix, warnings, missing, outside)


def _apply_context(matrix: Float32, context: Mapping[str, Value], model: Model) -> None:
    _check_names(context, model, "context")
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


def _check_names(names: Iterable[str], model: Model, path: str) -> None:
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
