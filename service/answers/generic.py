"""The generic way: candidates of a decoded request as a matrix, whatever they look like, or what is wrong.

What it makes of a request is what the request means. The fast ways (`candidates`) read the usual ones only,
and read them to the same numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np
from msgspec import Raw

from ranking.data.arrays import Float32
from service.answers.batch import (
    NAMED_IDS,
    Batch,
    Context,
    Lookup,
    check_names,
    finished,
    read_context,
    read_named,
)
from service.echo import cut, shown
from service.errors import ApiError, invalid
from service.models.table import Model
from service.wire.bounds import SMALL, elements, head, too_many_candidates
from service.wire.decoding import decode_piece
from service.wire.ids import Ids
from service.wire.messages import NULL, Features, Identifier, RawCandidate, RawRankRequest
from service.wire.rows import read_table, write_row, wrong_width
from service.wire.scan import scan_rows

_FEATURES: msgspec.json.Decoder[Features] = msgspec.json.Decoder(Features)
_IDS = msgspec.json.Decoder(list[Identifier])
_NAMES = msgspec.json.Decoder(list[str])


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
    absent = [name for name, part in table.items() if part == NULL]
    context = read_context(request.context, model)
    if request.candidates is not None:
        if len(absent) < 3:
            raise _form_error("got both")
        ids = [candidate.id for candidate in request.candidates]
        check_ids(ids, max_candidates, "candidates", distinct=distinct)
        return _from_candidates(ids, request.candidates, context, model, lookup)
    if absent:
        raise _form_error("got neither" if len(absent) == 3 else f"got a table without {', '.join(absent)}")
    if len(request.ids) > SMALL and (count := elements(request.ids)) > max_candidates:
        raise too_many_candidates(count, max_candidates, "ids")
    ids = decode_piece(_IDS, request.ids, "ids")
    check_ids(ids, max_candidates, "ids")
    # One more name than the model has features is one too many already: unknown, or twice.
    columns = decode_piece(_NAMES, head(request.columns, model.feature_count + 1), "columns")
    return _from_table(ids, columns, request.matrix, context, model)


def _form_error(came: str) -> ApiError:
    return invalid(
        "wrong_form", f"expected either `candidates`, or `ids` with `columns` and `matrix`; {came}"
    )


def check_ids(ids: Sequence[str], max_candidates: int, path: str, *, distinct: bool = True) -> None:
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
    given = [index for index, candidate in enumerate(candidates) if candidate.features != NULL]
    if not given and lookup is not None:
        return finished(Ids.of(ids), lookup(ids, model), True, context, model)
    pieces = [candidates[index].features for index in given]
    matrix = scan_rows(pieces, model.names) if len(given) == len(ids) else None
    if matrix is not None:
        by_name = bytes(memoryview(pieces[0])[:1]) == b"{"
        return finished(Ids.of(ids), matrix, by_name, context, model)
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
    return finished(Ids.of(ids), matrix, named, context, model)


def _read_features(piece: Raw, path: str, row: Float32, model: Model) -> bool:
    """Write the features of a candidate into its row; whether they came by name."""
    width = model.feature_count
    # Of a list that is too long, more than the first part would only say the same.
    features = decode_piece(_FEATURES, head(piece, width + 1), path)
    if isinstance(features, dict):
        if len(piece) > SMALL:
            features = read_named(piece, path, model)
        elif not features.keys() <= model.columns.keys():
            check_names(features, model, path)
        values = list(map(features.get, model.feature_names))
        write_row(values, row, lambda column: f"{path}.{model.feature_names[column]}")
        return True
    assert features is not None, "what has no features is looked up"
    if len(features) != width:
        raise wrong_width(path, piece, width, f"the model takes {width}")
    write_row(features, row, lambda column: f"{path}[{column}]")
    return False


def _looked_up(ids: list[str], first: int, model: Model, lookup: Lookup | None) -> Float32:
    if lookup is None:
        raise invalid(
            "no_features",
            f"candidates[{first}] has no features, and no feature store is configured to find them in",
            path=f"candidates[{first}].features",
        )
    return lookup(ids, model)


def _from_table(ids: list[str], columns: list[str], matrix: Raw, context: Context, model: Model) -> Batch:
    check_columns(columns, model)
    return _from_columns(ids, columns, read_table(matrix, len(ids), len(columns)), context, model)


def check_columns(columns: list[str], model: Model) -> None:
    if tuple(columns) == model.feature_names:
        return
    check_names(columns, model, "columns")
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
    return finished(Ids.of(ids), given, True, context, model)
