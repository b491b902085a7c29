"""A `RankRequest` as a matrix: float32 [candidates, features], in the model's order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
from msgspec import Raw

from ranking.dataset import Float32, Int64
from service.echo import cut, nearest, shown
from service.errors import ApiError, invalid
from service.messages import Candidate, RankRequest, RankWarning, RawRankRequest, Value
from service.models import Model
from service.scan import scan_matrix, scan_rows

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

    ids: list[str]
    features: Float32
    warnings: list[RankWarning]
    missing: Int64
    """How many candidates lack each feature, [features]."""
    outside: Int64
    """How many lie outside the range it had in training."""


def to_batch(
    request: RankRequest,
    model: Model,
    max_candidates: int,
    lookup: Lookup | None = None,
    *,
    distinct: bool = True,
) -> Batch:
    """The candidates of a request, in whichever form they came; `distinct` refuses an id that comes twice.

    Raises ApiError 422 naming the place: no form or two, no candidates or too many, an id twice, a row of
    another width, a name the model does not have, a value beyond float32, no features and no store.
    """
    table = (request.ids, request.columns, request.matrix)
    if request.candidates is not None:
        if any(part is not None for part in table):
            raise _form_error("got both")
        ids = [candidate.id for candidate in request.candidates]
        _check_ids(ids, max_candidates, "candidates", distinct=distinct)
        return _from_candidates(ids, request.candidates, request.context, model, lookup)
    ids_, columns, matrix = table
    if ids_ is None or columns is None or matrix is None:
        absent = [name for name in ("ids", "columns", "matrix") if getattr(request, name) is None]
        raise _form_error("got neither" if len(absent) == 3 else f"got a table without {', '.join(absent)}")
    _check_ids(ids_, max_candidates, "ids")
    return _from_table(ids_, columns, matrix, request.context, model)


def raw_to_batch(
    request: RawRankRequest,
    model: Model,
    max_candidates: int,
    lookup: Lookup | None = None,
    *,
    distinct: bool = True,
) -> Batch | None:
    """What `to_batch` would make of the request, by the compiled scan; None where that cannot tell."""
    candidates, ids, columns = request.candidates, request.ids, request.columns
    table = not _is_null(request.matrix)
    if candidates is not None and ids is None and columns is None and not table:
        ids = [candidate.id for candidate in candidates]
        _check_ids(ids, max_candidates, "candidates", distinct=distinct)
        pieces = [candidate.features for candidate in candidates if not _is_null(candidate.features)]
        if not pieces and lookup is not None:
            return _finish(ids, lookup(ids, model), slice(None), request.context, model)
        matrix = scan_rows(pieces, model.names) if len(pieces) == len(ids) else None
        if matrix is None:
            return None
        named = bytes(pieces[0]).lstrip().startswith(b"{")
        return _finish(ids, matrix, slice(None if named else 0), request.context, model)
    if candidates is None and ids is not None and columns is not None and table:
        _check_ids(ids, max_candidates, "ids")
        _check_columns(columns, model)
        matrix = scan_matrix(request.matrix, len(ids), len(columns))
        return None if matrix is None else _from_columns(ids, columns, matrix, request.context, model)
    return None


def _is_null(raw: Raw) -> bool:
    return len(raw) == 4 and bytes(raw) == b"null"


def array_to_batch(
    ids: list[str] | None, matrix: Float32, context: Context, model: Model, max_candidates: int
) -> Batch:
    """The batch of a float32 matrix in the model's order; ids count from "0" where none are given."""
    if matrix.ndim != 2 or matrix.shape[1] != model.feature_count:
        raise invalid(
            "wrong_width",
            f"the array has shape {matrix.shape}, the model takes [candidates, {model.feature_count}]",
            expected=model.feature_count,
        )
    if ids is None:
        ids = [str(row) for row in range(len(matrix))]
    if len(ids) != len(matrix):
        raise invalid("wrong_height", f"{len(ids)} ids for {len(matrix)} rows", path="ids")
    _check_ids(ids, max_candidates, "ids")
    if np.isinf(matrix).any():
        row, column = (int(i) for i in np.argwhere(np.isinf(matrix))[0])
        raise invalid("out_of_range", f"row {row}, column {column} of the array is infinite")
    return _finish(ids, matrix.copy(), slice(0), context, model)


def _form_error(came: str) -> ApiError:
    return invalid(
        "wrong_form", f"expected either `candidates`, or `ids` with `columns` and `matrix`; {came}"
    )


def _check_ids(ids: Sequence[str], max_candidates: int, path: str, *, distinct: bool = True) -> None:
    if not ids:
        raise invalid("no_candidates", f"{path} is empty: send at least one candidate", path=path)
    if len(ids) > max_candidates:
        raise invalid(
            "too_many_candidates",
            f"{len(ids)} candidates, at most {max_candidates} are ranked in one request",
            path=path,
            limit=max_candidates,
        )
    if distinct and len(set(ids)) != len(ids):
        repeated = [name for name, count in Counter(ids).items() if count > 1][:NAMED_IDS]
        raise invalid(
            "duplicate_id",
            f"ids must be distinct; more than once: {', '.join(map(shown, repeated))}",
            path=path,
            ids=list(map(cut, repeated)),
        )


def _from_candidates(
    ids: list[str], candidates: Sequence[Candidate], context: Context, model: Model, lookup: Lookup | None
) -> Batch:
    rows: list[Sequence[Value]] = []
    given: list[int] = []
    named: list[int] = []
    stored: list[int] = []
    pick = itemgetter(*model.feature_names) if len(model.feature_names) > 1 else None
    for index, candidate in enumerate(candidates):
        features = candidate.features
        if features is None:
            stored.append(index)
            continue
        given.append(index)
        if isinstance(features, dict):
            named.append(index)
            rows.append(_named_row(features, index, model, pick))
        else:
            rows.append(features)
    width = model.feature_count
    _check_widths(rows, width, lambda row: f"candidates[{given[row]}].features", f"the model takes {width}")

    def place(row: int, column: int) -> str:
        by_name = isinstance(candidates[given[row]].features, dict)
        return f"candidates[{given[row]}].features" + (
            f".{model.feature_names[column]}" if by_name else f"[{column}]"
        )

    matrix = np.empty((len(ids), width), np.float32)
    matrix[given] = _matrix(rows, width, place)
    if stored:
        matrix[stored] = _looked_up([ids[index] for index in stored], stored[0], model, lookup)
    return _finish(ids, matrix, [*named, *stored], context, model)


def _looked_up(ids: list[str], first: int, model: Model, lookup: Lookup | None) -> Float32:
    if lookup is None:
        raise invalid(
            "no_features",
            f"candidates[{first}] has no features, and no feature store is configured to find them in",
            path=f"candidates[{first}].features",
        )
    return lookup(ids, model)


def _named_row(
    features: Mapping[str, Value],
    index: int,
    model: Model,
    pick: Callable[[Mapping[str, Value]], tuple[Value, ...]] | None,
) -> Sequence[Value]:
    if pick is not None and len(features) == model.feature_count:
        # A full row, the usual case, in one call: a name that is not there says that another is unknown.
        try:
            return pick(features)
        except KeyError:
            pass
    _check_names(features, model, f"candidates[{index}].features")
    return [features.get(name) for name in model.feature_names]


def _from_table(
    ids: list[str], columns: list[str], matrix: list[list[Value]], context: Context, model: Model
) -> Batch:
    if len(matrix) != len(ids):
        raise invalid("wrong_height", f"matrix has {len(matrix)} rows for {len(ids)} ids", path="matrix")
    _check_columns(columns, model)
    width = len(columns)
    _check_widths(matrix, width, lambda row: f"matrix[{row}]", f"columns names {width}")
    given = _matrix(matrix, width, lambda row, column: f"matrix[{row}][{column}]")
    return _from_columns(ids, columns, given, context, model)


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


def _check_widths(
    rows: Sequence[Sequence[Value]], width: int, place: Callable[[int], str], expected: str
) -> None:
    if set(map(len, rows)) <= {width}:
        return
    row = next(i for i, values in enumerate(rows) if len(values) != width)
    raise invalid(
        "wrong_width",
        f"{place(row)}: got {len(rows[row])} values, {expected}",
        path=place(row),
        expected=width,
        got=len(rows[row]),
    )


def _matrix(rows: Sequence[Sequence[Value]], width: int, place: Callable[[int, int], str]) -> Float32:
    """float32 [rows, width], NaN where null came."""
    with np.errstate(over="ignore"):  # what overflows is found below, and named
        matrix = np.array(rows, np.float32).reshape(len(rows), width)
    infinite = np.isinf(matrix)
    if infinite.any():
        row, column = (int(i) for i in np.argwhere(infinite)[0])
        where = place(row, column)
        raise invalid("out_of_range", f"{where}: {rows[row][column]} is beyond float32", path=where)
    return matrix


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
