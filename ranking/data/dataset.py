"""`RankingDataset`: judged lists of documents, the one currency of training, scoring and serving.

Axes, named the same everywhere: `documents` (all rows), `queries`, `features`.
A query is a contiguous slice `offsets[q]:offsets[q + 1]` of the documents; nothing is padded.
NaN in `features` means missing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ranking.data.arrays import Float32, Float64, Int64, Strings
from ranking.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Missing = Literal["zero", "nan"]
"""What an absent feature is: 0 (LETOR's sparse habit), or NaN for the booster to route."""

_SCAN_ROWS = 4096


@dataclass(frozen=True, eq=False, kw_only=True)
class RankingDataset:
    """Judged lists of documents.

    features       float32 [documents, features], C order; NaN is missing, infinities are refused
    labels         float32 [documents], finite and >= 0
    offsets        int64 [queries + 1], strictly rising from 0 to `documents`
    query_ids      [queries], distinct
    document_ids   [documents] or None
    feature_names  [features], distinct, or None
    weights        float32 [queries] or [documents], finite and >= 0, or None for ones
    positions      int64 [documents], the rank at which each was shown (from 1), or None
    targets        float32 [documents], finite: a teacher's scores, of any sign, or None
    trusted        skips the scan for infinities and bad labels, for readers that made it themselves

    Raises DataError where a shape or a value is not of this form.
    """

    features: Float32
    labels: Float32
    offsets: Int64
    query_ids: Sequence[str]
    document_ids: Sequence[str] | None = None
    feature_names: Sequence[str] | None = None
    weights: Float32 | None = None
    positions: Int64 | None = None
    targets: Float32 | None = None
    trusted: bool = False

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "features", _array("features", self.features, np.float32))
        put(self, "labels", _array("labels", self.labels, np.float32))
        put(self, "offsets", _array("offsets", self.offsets, np.int64))
        if self.weights is not None:
            put(self, "weights", _array("weights", self.weights, np.float32))
        if self.positions is not None:
            put(self, "positions", _array("positions", self.positions, np.int64))
        if self.targets is not None:
            put(self, "targets", _array("targets", self.targets, np.float32))
        self._check_shapes()
        if not self.trusted:
            self._check_values()

    def _check_shapes(self) -> None:
        if self.features.ndim != 2:
            raise DataError(f"features must be [documents, features], got shape {self.features.shape}")
        documents, width = self.features.shape
        offsets = self.offsets
        if offsets.ndim != 1 or len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != documents:
            raise DataError(f"offsets must run from 0 to the {documents} documents, got {offsets}")
        empty = np.flatnonzero(np.diff(offsets) <= 0)
        if len(empty):
            raise DataError(f"query number {empty[0]} has no documents: leave it out")
        queries = len(offsets) - 1
        for name, column, expected in (
            ("labels", self.labels, documents),
            ("query_ids", self.query_ids, queries),
            ("document_ids", self.document_ids, documents),
            ("feature_names", self.feature_names, width),
            ("positions", self.positions, documents),
            ("targets", self.targets, documents),
        ):
            if column is not None and len(column) != expected:
                raise DataError(f"{name} must have {expected} entries, got {len(column)}")
            if isinstance(column, np.ndarray) and column.ndim != 1:
                raise DataError(f"{name} must be [{expected}], got shape {column.shape}")
        if self.feature_names is not None and len(set(self.feature_names)) < width:
            [(name, count)] = Counter(self.feature_names).most_common(1)
            raise DataError(f"feature_names must differ: {name!r} names {count} columns")
        if self.weights is not None and self.weights.shape not in ((queries,), (documents,)):
            raise DataError(
                f"weights must be one per query ({queries}) or one per document ({documents}), "
                f"got shape {self.weights.shape}"
            )

    def _check_values(self) -> None:
        for name, values in (("labels", self.labels), ("weights", self.weights)):
            if values is None:
                continue
            bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
            if len(bad):
                raise DataError(f"{name} must be finite and >= 0, entry {bad[0]} is {values[bad[0]]}")
        if self.targets is not None and not np.isfinite(self.targets).all():
            [bad] = np.flatnonzero(~np.isfinite(self.targets))[:1]
            raise DataError(
                f"targets must be finite, that of row {bad} (query {self.query_of(bad)}) is "
                f"{self.targets[bad]}"
            )
        if self.positions is not None and (self.positions < 1).any():
            bad = np.flatnonzero(self.positions < 1)
            raise DataError(f"positions count from 1, entry {bad[0]} is {self.positions[bad[0]]}")
        for start in range(0, self.document_count, _SCAN_ROWS):
            infinite = np.argwhere(np.isinf(self.features[start : start + _SCAN_ROWS]))
            if len(infinite):
                row, column = int(infinite[0][0]) + start, int(infinite[0][1])
                raise DataError(
                    f"document {row}, feature {self.name_of(column)} is {self.features[row, column]}: "
                    "features must be finite, or NaN where missing"
                )
        seen: set[str] = set()
        for query in self.query_ids:
            if query in seen:
                raise DataError(f"query id {query!r} stands for two lists: ids must be distinct")
            seen.add(query)

    @property
    def document_count(self) -> int:
        return int(self.features.shape[0])

    @property
    def feature_count(self) -> int:
        return int(self.features.shape[1])

    @property
    def query_count(self) -> int:
        return len(self.offsets) - 1

    @property
    def sizes(self) -> Int64:
        """Documents of each query, int64 [queries]."""
        return np.diff(self.offsets)

    @property
    def query_weights(self) -> Float64 | None:
        """One weight a query, float64 [queries]: given so, or the mean of its documents' weights."""
        if self.weights is None:
            return None
        weights = self.weights.astype(np.float64)
        if len(weights) == self.query_count:
            return weights
        return np.add.reduceat(weights, self.offsets[:-1]) / self.sizes

    @property
    def document_weights(self) -> Float64 | None:
        """One weight a document, float64 [documents], where they were given so."""
        if self.weights is None or len(self.weights) == self.query_count:
            return None
        return self.weights.astype(np.float64)

    @property
    def lessons(self) -> Float32:
        """What is learned by an objective of real numbers: the targets, or else the labels."""
        return self.labels if self.targets is None else self.targets

    def name_of(self, feature: int) -> str:
        """The name of a column: its own, or its LETOR number (counting from 1)."""
        return self.feature_names[feature] if self.feature_names is not None else str(feature + 1)

    def query_of(self, document: int) -> str:
        """The id of the query that holds this row."""
        return self.query_ids[int(np.searchsorted(self.offsets, document, side="right")) - 1]

    def queries(self, indices: Sequence[int] | Int64) -> RankingDataset:
        """These queries, in this order, as a data set of their own."""
        chosen = np.asarray(indices, np.int64)
        sizes = self.sizes[chosen]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        rows = np.repeat(self.offsets[chosen] - offsets[:-1], sizes) + np.arange(offsets[-1])
        per_query = self.weights is not None and len(self.weights) == self.query_count
        return replace(
            self,
            features=self.features[rows],
            labels=self.labels[rows],
            offsets=offsets,
            query_ids=[self.query_ids[int(q)] for q in chosen],
            document_ids=None if self.document_ids is None else _take(self.document_ids, rows),
            weights=None if self.weights is None else self.weights[chosen if per_query else rows],
            positions=None if self.positions is None else self.positions[rows],
            targets=None if self.targets is None else self.targets[rows],
            trusted=True,
        )

    def hold_out(self, fraction: float, seed: int) -> tuple[RankingDataset, RankingDataset]:
        """(rest, held out): a share of the queries, at least one each, drawn by `seed`."""
        if self.query_count < 2:
            raise DataError("holding out queries needs at least two of them, got 1: name a --valid file")
        held = min(max(round(fraction * self.query_count), 1), self.query_count - 1)
        order = np.random.default_rng(seed).permutation(self.query_count)
        return self.queries(np.sort(order[held:])), self.queries(np.sort(order[:held]))

    def with_width(
        self, feature_count: int, missing: Missing, feature_names: Sequence[str] | None = None
    ) -> RankingDataset:
        """The same documents with this many features: absent columns are filled by the missing policy.

        `feature_names` [feature_count] are the names to have then: they name the columns of a data set that
        has to be widened. Raises DataError where the data has more features, or names a column otherwise.
        """
        self._check_names(feature_names)
        extra = feature_count - self.feature_count
        if extra == 0:
            return self
        if extra < 0:
            raise DataError(
                f"the data has {self.feature_count} features, the model was trained on {feature_count}: "
                "leave out the ones it does not know"
            )
        fill = np.full((self.document_count, extra), 0.0 if missing == "zero" else np.nan, np.float32)
        return replace(
            self,
            features=np.concatenate([self.features, fill], axis=1),
            feature_names=feature_names,
            trusted=True,
        )

    def _check_names(self, others: Sequence[str] | None) -> None:
        """Refuse columns in another order than `others`; plain LETOR numbers are no names, and fit any."""
        if self.feature_names is None or others is None:
            return
        mine, theirs = (list(names[: self.feature_count]) for names in (self.feature_names, others))
        numbers = [str(i + 1) for i in range(len(mine))]
        unnamed = numbers in (mine, theirs) and sorted(mine) != sorted(theirs)
        different = [i for i, pair in enumerate(zip(mine, theirs, strict=False)) if pair[0] != pair[1]]
        if different and not unnamed:
            i = different[0]
            unknown = sorted({*mine}.difference(others))
            raise DataError(
                f"feature {i + 1} of the data is {mine[i]!r} where {theirs[i]!r} is expected: "
                + (
                    f"rename or leave out {unknown[0]!r}, which is not known there"
                    if unknown
                    else "put the columns into the same order"
                )
            )

    def fingerprint(self) -> str:
        """SHA-256 over shapes, labels, lists, features, weights, targets, query ids: names this data."""
        digest = hashlib.sha256(repr((self.features.shape, self.query_count)).encode())
        for array in (self.labels, self.offsets, self.features, self.weights):
            if array is not None:
                digest.update(array.reshape(-1).view(np.uint8).data)
        if self.targets is not None:
            digest.update(b"targets")  # or they could be taken for weights
            digest.update(self.targets.view(np.uint8).data)
        digest.update("\n".join(self.query_ids).encode("utf-8", "surrogateescape"))
        return f"sha256:{digest.hexdigest()}"

    @classmethod
    def concatenate(cls, parts: Sequence[RankingDataset]) -> RankingDataset:
        """The queries of all parts, in order.

        Where some parts have weights, the others weigh 1; where some have document ids, the others have "";
        positions are kept where all parts have them. Raises DataError for parts of different widths, whose
        columns are named differently, or of which some have targets and others none.
        """
        first = parts[0]
        if len(parts) == 1:
            return first
        names = next((part.feature_names for part in parts if part.feature_names is not None), None)
        for number, part in enumerate(parts, 1):
            if part.feature_count != first.feature_count:
                raise DataError(
                    f"part {number} has {part.feature_count} features, the first one {first.feature_count}: "
                    "give all the same width"
                )
            part._check_names(names)
            if (part.targets is None) != (first.targets is None):
                having, lacking = (1, number) if part.targets is None else (number, 1)
                raise DataError(
                    f"part {having} has targets and part {lacking} has none: give them to all or to none"
                )
        positions = [part.positions for part in parts if part.positions is not None]
        targets = [part.targets for part in parts if part.targets is not None]
        starts = np.cumsum([0, *(part.document_count for part in parts[:-1])])
        return cls(
            features=np.concatenate([part.features for part in parts]),
            labels=np.concatenate([part.labels for part in parts]),
            offsets=np.concatenate(
                [[0], *(p.offsets[1:] + start for p, start in zip(parts, starts, strict=True))]
            ),
            query_ids=[query for part in parts for query in part.query_ids],
            document_ids=_joined_ids(parts),
            feature_names=names,
            weights=_joined_weights(parts),
            positions=np.concatenate(positions) if len(positions) == len(parts) else None,
            targets=np.concatenate(targets) if targets else None,
        )

    @classmethod
    def from_rows(
        cls,
        *,
        features: Float32,
        labels: npt.NDArray[Any],
        row_queries: Sequence[str],
        regroup: bool = False,
        document_ids: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
        row_weights: npt.NDArray[Any] | None = None,
        positions: npt.NDArray[Any] | None = None,
        targets: npt.NDArray[Any] | None = None,
    ) -> RankingDataset:
        """Lists from rows that each name their query.

        Rows of one query must be contiguous, or are brought together (in order of first appearance,
        keeping the order inside each query) with `regroup`.
        """
        codes: dict[str, int] = {}
        row_codes = np.fromiter(
            (codes.setdefault(q, len(codes)) for q in row_queries), np.int64, len(row_queries)
        )
        starts = np.flatnonzero(np.diff(row_codes, prepend=-1))
        if len(starts) != len(codes):
            if not regroup:
                _, firsts = np.unique(row_codes, return_index=True)
                row = int(starts[~np.isin(starts, firsts)][0])
                raise DataError(
                    f"row {row}: query {row_queries[row]!r} was already closed by another query; "
                    "sort the rows by query, or pass regroup"
                )
            order = np.argsort(row_codes, kind="stable")
            features, labels, row_codes = features[order], labels[order], row_codes[order]
            document_ids = None if document_ids is None else _take(document_ids, order)
            row_weights = None if row_weights is None else row_weights[order]
            positions = None if positions is None else positions[order]
            targets = None if targets is None else targets[order]
            starts = np.flatnonzero(np.diff(row_codes, prepend=-1))
        return cls(
            features=features,
            labels=labels,
            offsets=np.append(starts, len(row_codes)),
            query_ids=list(codes),
            document_ids=document_ids,
            feature_names=feature_names,
            weights=row_weights,
            positions=positions,
            targets=targets,
        )

    @classmethod
    def from_pandas(
        cls,
        frame: pd.DataFrame,
        *,
        label: str = "label",
        query: str = "qid",
        document: str | None = None,
        weight: str | None = None,
        position: str | None = None,
        target: str | None = None,
        features: Sequence[str] | None = None,
        regroup: bool = False,
    ) -> RankingDataset:
        """Lists from a data frame: one row a document; by default every other column is a feature."""
        named = [
            column for column in (label, query, document, weight, position, target) if column is not None
        ]
        absent = [column for column in named + list(features or ()) if column not in frame.columns]
        if absent:
            raise DataError(
                f"no column {absent[0]!r} in the frame; it has: {', '.join(map(str, frame.columns))}"
            )
        columns = list(features) if features is not None else [c for c in frame.columns if c not in named]
        try:
            with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused by name
                matrix = frame[columns].to_numpy(np.float32, na_value=np.nan)
        except (TypeError, ValueError) as error:
            kinds = {str(c): str(frame[c].dtype) for c in columns if not _is_numeric(frame[c].dtype)}
            raise DataError(f"features must be numbers; these columns are not: {kinds}") from error
        without = np.flatnonzero(frame[query].isna())
        if len(without):
            raise DataError(f"row {without[0]} has no {query!r}: every document belongs to a query")
        documents = None if document is None else frame[document]
        return cls.from_rows(
            features=matrix,
            labels=_numbers(frame, label),
            row_queries=[str(q) for q in frame[query].tolist()],
            regroup=regroup,
            document_ids=None
            if documents is None
            else ["" if none else str(d) for d, none in zip(documents, documents.isna(), strict=True)],
            feature_names=[str(column) for column in columns],
            row_weights=None if weight is None else _numbers(frame, weight),
            positions=None if position is None else _numbers(frame, position),
            targets=None if target is None else _numbers(frame, target),
        )

    def to_pandas(self) -> pd.DataFrame:
        """One row a document: `qid`, `label`; `document`, `weight` (a query's in each of its rows),
        `position` and `target` where they are known; then the features by name.
        """
        import pandas as pd

        columns: dict[str, Any] = {
            "qid": np.repeat(np.asarray(list(self.query_ids), object), self.sizes),
            "label": self.labels,
        }
        if self.document_ids is not None:
            columns["document"] = list(self.document_ids)
        if self.weights is not None:
            columns["weight"] = _by_document(self)
        if self.positions is not None:
            columns["position"] = self.positions
        if self.targets is not None:
            columns["target"] = self.targets
        frame = pd.DataFrame(self.features, columns=[self.name_of(i) for i in range(self.feature_count)])
        return pd.concat([pd.DataFrame(columns), frame], axis=1)


def _array(name: str, values: Any, dtype: type[np.generic]) -> npt.NDArray[Any]:
    """The values in this type, copied only where they have to be."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # infinities are refused by name afterwards
            return np.ascontiguousarray(values, dtype)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} must be an array of numbers: {error}") from error


def _by_document(part: RankingDataset) -> Float32:
    """The weight of each row: its document's, its query's, or 1."""
    if part.weights is None:
        return np.ones(part.document_count, np.float32)
    if len(part.weights) == part.document_count:
        return part.weights
    return np.repeat(part.weights, part.sizes)


def _joined_weights(parts: Sequence[RankingDataset]) -> Float32 | None:
    """One weight a query if all parts that have any have it so, else one a document."""
    if all(part.weights is None for part in parts):
        return None
    if all(part.weights is None or len(part.weights) == part.query_count for part in parts):
        return np.concatenate(
            [np.ones(p.query_count, np.float32) if p.weights is None else p.weights for p in parts]
        )
    return np.concatenate([_by_document(part) for part in parts])


def _joined_ids(parts: Sequence[RankingDataset]) -> Strings | None:
    if all(part.document_ids is None for part in parts):
        return None
    ids = ([""] * part.document_count if part.document_ids is None else part.document_ids for part in parts)
    return Strings.of(document for part in ids for document in part)


def _numbers(frame: pd.DataFrame, column: str) -> Float64:
    """A column that must hold numbers; NaN where it is empty."""
    try:
        return frame[column].to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(f"column {column!r} must hold numbers: {error}") from error


def _take(texts: Sequence[str], rows: Int64) -> Strings:
    return Strings.of(texts[int(row)] for row in rows)


def _is_numeric(dtype: Any) -> bool:
    return bool(getattr(dtype, "kind", "O") in "biuf" or getattr(dtype, "_is_numeric", False))
