"""A `RankRequest` as a matrix: float32 [candidates, features], in the model's order."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from ranking.dataset import Float32
from service.errors import ApiError, invalid
from service.messages import Candidate, RankRequest, RankWarning, Value
from service.models import Model

WARNED_FEATURES = 10
"""Missing features named in one reply; sparse callers would otherwise get one warning a feature."""


@dataclass(frozen=True)
class Batch:
    """ids [candidates]; features float32 [candidates, features], missing by the model's policy."""

    ids: list[str]
    features: Float32
    warnings: list[RankWarning]


def to_batch(request: RankRequest, model: Model, max_candidates: int) -> Batch:
    """The candidates of a request, in whichever form they came.

    Raises ApiError 422 naming the place: no form or two, no candidates or too many, an id twice, a row of
    another width, a name the model does not have, a value beyond float32.
    """
    table = (request.ids, request.columns, request.matrix)
    if request.candidates is not None:
        if any(part is not None for part in table):
            raise _form_error("got both")
        ids = [candidate.id for candidate in request.candidates]
        _check_ids(ids, max_candidates, "candidates")
        return _from_candidates(ids, request.candidates, model)
    ids_, columns, matrix = table
    if ids_ is None or columns is None or matrix is None:
        absent = [name for name in ("ids", "columns", "matrix") if getattr(request, name) is None]
        raise _form_error("got neither" if len(absent) == 3 else f"got a table without {', '.join(absent)}")
    _check_ids(ids_, max_candidates, "ids")
    return _from_table(ids_, columns, matrix, model)


def _form_error(came: str) -> ApiError:
    return invalid(
        "wrong_form", f"expected either `candidates`, or `ids` with `columns` and `matrix`; {came}"
    )


def _check_ids(ids: Sequence[str], max_candidates: int, path: str) -> None:
    if not ids:
        raise invalid("no_candidates", f"{path} is empty: send at least one candidate", path=path)
    if len(ids) > max_candidates:
        raise invalid(
            "too_many_candidates",
            f"{len(ids)} candidates, at most {max_candidates} are ranked in one request",
            path=path,
            limit=max_candidates,
        )
    if len(set(ids)) != len(ids):
        repeated = [name for name, count in Counter(ids).items() if count > 1]
        shown = ", ".join(repr(name) for name in repeated[:5])
        raise invalid(
            "duplicate_id", f"ids must be distinct; more than once: {shown}", path=path, ids=repeated[:5]
        )


def _from_candidates(ids: list[str], candidates: Sequence[Candidate], model: Model) -> Batch:
    rows: list[Sequence[Value]] = []
    named: list[int] = []
    pick = itemgetter(*model.feature_names) if len(model.feature_names) > 1 else None
    for index, candidate in enumerate(candidates):
        features = candidate.features
        if isinstance(features, dict):
            named.append(index)
            rows.append(_named_row(features, index, model, pick))
        else:
            rows.append(features)
    width = model.feature_count
    _check_widths(rows, width, lambda row: f"candidates[{row}].features", f"the model takes {width}")

    def place(row: int, column: int) -> str:
        by_name = isinstance(candidates[row].features, dict)
        return f"candidates[{row}].features" + (
            f".{model.feature_names[column]}" if by_name else f"[{column}]"
        )

    matrix = _matrix(rows, width, place)
    warnings = _missing_warnings(matrix if len(named) == len(rows) else matrix[named], model)
    return Batch(ids, _with_missing(matrix, model), warnings)


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


def _from_table(ids: list[str], columns: list[str], matrix: list[list[Value]], model: Model) -> Batch:
    if len(matrix) != len(ids):
        raise invalid("wrong_height", f"matrix has {len(matrix)} rows for {len(ids)} ids", path="matrix")
    _check_names(columns, model, "columns")
    if len(set(columns)) != len(columns):
        repeated = next(name for name, count in Counter(columns).items() if count > 1)
        raise invalid("duplicate_column", f"columns names {repeated!r} twice", path="columns")
    width = len(columns)
    _check_widths(matrix, width, lambda row: f"matrix[{row}]", f"columns names {width}")
    given = _matrix(matrix, width, lambda row, column: f"matrix[{row}][{column}]")
    if tuple(columns) != model.feature_names:
        full = np.full((len(ids), model.feature_count), np.nan, np.float32)
        full[:, [model.columns[name] for name in columns]] = given
        given = full
    warnings = _missing_warnings(given, model)
    return Batch(ids, _with_missing(given, model), warnings)


def _check_names(names: Iterable[str], model: Model, path: str) -> None:
    unknown = next((name for name in names if name not in model.columns), None)
    if unknown is None:
        return
    near = difflib.get_close_matches(unknown, model.feature_names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise invalid(
        "unknown_feature",
        f"{path}: the model has no feature {unknown!r}{hint}",
        path=path,
        feature=unknown,
        nearest=near[0] if near else None,
        expected=list(model.feature_names),
    )


def _check_widths(
    rows: Sequence[Sequence[Value]], width: int, place: Callable[[int], str], expected: str
) -> None:
    if set(map(len, rows)) == {width}:
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


def _with_missing(matrix: Float32, model: Model) -> Float32:
    if model.ranker.missing == "zero":
        matrix[np.isnan(matrix)] = 0.0
    return matrix


def _missing_warnings(matrix: Float32, model: Model) -> list[RankWarning]:
    """How often each feature is missing, for rows whose caller named the features."""
    counts = np.count_nonzero(np.isnan(matrix), axis=0)
    columns = np.flatnonzero(counts)
    warnings = [
        RankWarning("missing_feature", model.feature_names[column], int(counts[column]))
        for column in columns[:WARNED_FEATURES]
    ]
    if len(columns) > WARNED_FEATURES:
        warnings.append(RankWarning("more_missing_features", count=len(columns) - WARNED_FEATURES))
    return warnings
