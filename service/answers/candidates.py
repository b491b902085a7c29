"""The candidates of a request: one value, read as a matrix once the model is known.

Rows, Table    as text: by one compiled pass, which is in doubt about whatever is not usual
Array          an npy file
Whole          decoded: the generic way, which is never in doubt
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import numpy as np
from msgspec import Raw

from ranking.data.arrays import Float32
from ranking.models.folder import float32_of_npy
from service.answers.batch import Batch, Lookup, finished, read_context
from service.answers.generic import check_ids, to_batch
from service.echo import cut
from service.errors import invalid
from service.models.table import Model
from service.wire.bounds import too_many_candidates
from service.wire.candidates import scan_candidates
from service.wire.ids import Ids
from service.wire.messages import Identifier, RawRankRequest
from service.wire.scan import scan_matrix

_IDS = msgspec.json.Decoder(list[Identifier])
_NAMES = msgspec.json.Decoder(list[str])


class Doubt(Exception):  # noqa: N818  # no error: the request may be fine
    """A fast way is not sure what was sent: the generic way has to read the request."""


class Candidates(Protocol):
    """What a request wants ranked."""

    @property
    def certain(self) -> bool:
        """Whether reading is never in doubt."""

    def read(self, model: Model, lookup: Lookup | None) -> Batch:
        """The candidates as the model's matrix; features by id are found by `lookup`, where there is one.

        Raises ApiError for whatever is wrong, or Doubt.
        """


@dataclass(frozen=True)
class Rows:
    """A JSON array of candidates, at most `most`; or `documents` of a dialect, whose ids may come twice."""

    text: Any
    context: Raw
    most: int
    documents: bool = False
    certain = False

    def read(self, model: Model, lookup: Lookup | None) -> Batch:
        found = scan_candidates(self.text, model.names, self.most, documents=self.documents)
        if found is None:
            raise Doubt
        ids, features = found.ids, found.features
        if not self.documents and len(set(ids.names)) != len(ids):
            raise Doubt
        if features is None and lookup is None:
            raise Doubt
        context = read_context(self.context, model)
        if features is None:
            assert lookup is not None
            return finished(ids, lookup(ids.names, model), True, context, model)
        return finished(ids, features, found.named, context, model)


@dataclass(frozen=True)
class Table:
    """JSON arrays of ids, of names, and of arrays of numbers: at most `most` of them."""

    ids: Raw
    columns: Raw
    matrix: Any
    context: Raw
    most: int
    certain = False

    def read(self, model: Model, lookup: Lookup | None) -> Batch:
        try:
            ids, columns = _IDS.decode(self.ids), _NAMES.decode(self.columns)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Doubt from None
        order = _order(columns, model)
        if not 0 < len(ids) <= self.most or len(set(ids)) != len(ids):
            raise Doubt
        matrix = scan_matrix(self.matrix, len(ids), len(columns))
        if matrix is None:
            raise Doubt
        if order is not None:
            full = np.full((len(ids), model.feature_count), np.nan, np.float32)
            full[:, order] = matrix
            matrix = full
        return finished(Ids.of(ids), matrix, True, read_context(self.context, model), model)


def _order(columns: list[str], model: Model) -> list[int] | None:
    """The model's column of each, None where they are the model's; Doubt for unknown names and one twice."""
    if tuple(columns) == model.feature_names:
        return None
    order = [model.columns.get(name, -1) for name in columns]
    if min(order, default=-1) < 0 or len(set(order)) != len(order):
        raise Doubt
    return order


@dataclass(frozen=True)
class Array:
    """An npy file of float32 [candidates, features] in the model's order, NaN for missing.

    Without `ids` they count from "0".
    """

    body: bytes
    ids: Sequence[str] | None
    most: int
    certain = True

    def read(self, model: Model, lookup: Lookup | None) -> Batch:
        matrix = _array(self.body)
        if matrix.ndim != 2 or matrix.shape[1] != model.feature_count:
            raise invalid(
                "wrong_width",
                f"the array has shape {matrix.shape}, the model takes [candidates, {model.feature_count}]",
                expected=model.feature_count,
            )
        ids = self._ids(len(matrix))
        check_ids(ids, self.most, "ids")
        if np.isinf(matrix).any():
            row, column = (int(i) for i in np.argwhere(np.isinf(matrix))[0])
            raise invalid("out_of_range", f"row {row}, column {column} of the array is infinite")
        return finished(ids, matrix.copy(), False, None, model)

    def _ids(self, rows: int) -> Ids:
        if self.ids is None:
            if rows > self.most:
                raise too_many_candidates(rows, self.most, "ids")
            return Ids.counted(rows)
        if len(self.ids) != rows:
            raise invalid("wrong_height", f"{len(self.ids)} ids for {rows} rows", path="ids")
        return Ids.of(list(self.ids))


def _array(body: bytes) -> Float32:
    try:
        return float32_of_npy(body)
    except ValueError as error:
        raise invalid(
            "wrong_array",
            f"the body is no npy file of a float32 array in C order: {cut(str(error), 300)}; "
            "numpy.save writes one",
        ) from None
    except Exception as error:
        # The header of an npy file is a Python literal, and fails in many ways.
        raise invalid("wrong_array", "the body is no npy file: its header cannot be read") from error


@dataclass(frozen=True)
class Whole:
    """A decoded request, at most `most` candidates; `distinct` refuses an id that comes twice."""

    request: RawRankRequest
    most: int
    distinct: bool = True
    certain = True

    def read(self, model: Model, lookup: Lookup | None) -> Batch:
        return to_batch(self.request, model, self.most, lookup, distinct=self.distinct)
