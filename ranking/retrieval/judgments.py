"""What is known to be relevant, by rows of queries and documents, and nDCG over a whole collection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ranking.data.arrays import Float32, Float64, Int64
from ranking.errors import DataError
from ranking.metrics import discounts, gain
from ranking.retrieval.candidates import Candidates

Unknown = tuple[str, str, str]
"""(query id, document id, FILE:LINE) of a judgment that names what is not there"""


@dataclass(frozen=True, eq=False)
class Judgments:
    """One grade for each judged pair; a pair that is not among them was not judged.

    queries            int64 [judgments], rows of queries
    documents          int64 [judgments], rows of documents; a pair is judged once
    grades             float32 [judgments], relevant above 0
    unknown_documents  judgments left out, of documents that the collection has not
    unknown_queries    judgments left out, of queries that the collection has not

    Raises DataError for arrays that are not of this form.
    """

    queries: Int64
    documents: Int64
    grades: Float32
    unknown_documents: Sequence[Unknown] = ()
    unknown_queries: Sequence[Unknown] = ()

    def __post_init__(self) -> None:
        if not self.queries.shape == self.documents.shape == self.grades.shape == (len(self.queries),):
            raise DataError(
                "judgments are three arrays of one length, got shapes "
                f"{self.queries.shape}, {self.documents.shape} and {self.grades.shape}"
            )
        if len(self.queries) and (self.queries.min() < 0 or self.documents.min() < 0):
            raise DataError("judgments name rows of queries and documents, from 0, got one below")
        if not np.isfinite(self.grades).all():
            raise DataError("grades must be finite numbers")
        if len(np.unique(np.stack([self.queries, self.documents]), axis=1).T) < len(self.queries):
            raise DataError("a pair of query and document is judged twice: keep one of its grades")

    def __len__(self) -> int:
        return len(self.queries)

    def by_query(self) -> dict[int, tuple[Int64, Float32]]:
        """(rows of documents, grades) of each judged query's row, for judgments by rising query: views."""
        rows, starts = np.unique(self.queries, return_index=True)
        stops = [*starts[1:].tolist(), len(self)]
        return {
            row: (self.documents[start:stop], self.grades[start:stop])
            for row, start, stop in zip(rows.tolist(), starts.tolist(), stops, strict=True)
        }

    def where(self, kept: npt.NDArray[np.bool_]) -> Judgments:
        """Those judgments for which `kept`, bool [judgments], is true."""
        return Judgments(self.queries[kept], self.documents[kept], self.grades[kept])

    @property
    def relevant(self) -> Judgments:
        return self.where(self.grades > 0)


def ndcg(found: Candidates, judgments: Judgments, k: int = 10, rule: str = "linear") -> Float64:
    """nDCG@k of each query, float64 [queries], NaN for a query without a relevant document.

    The ideal is over all that is judged, found or not, as BEIR and trec_eval have it; documents that nobody
    judged are worth nothing. `rule` is the gain by its name in `ranking.metrics`.
    """
    relevant, queries = judgments.relevant, len(found.rows)
    worth, weights = gain(relevant.grades, rule), discounts(k, "log2")

    by_worth = np.lexsort((-worth, relevant.queries))
    starts = np.searchsorted(relevant.queries[by_worth], np.arange(queries + 1))
    rank = np.arange(starts[-1]) - np.repeat(starts[:-1], np.diff(starts))
    counted = by_worth[: starts[-1]][rank < k]
    ideal = np.bincount(
        relevant.queries[counted], worth[counted] * weights[rank[rank < k]], minlength=queries
    )

    rows = found.rows[:, :k]
    reached = _worths(rows, relevant, worth) @ weights[: rows.shape[1]]
    values: Float64 = np.divide(reached, ideal, out=np.full(queries, np.nan), where=ideal > 0)
    return values


def _worths(rows: Int64, relevant: Judgments, worth: Float64) -> Float64:
    """What each place of these lists is worth, float64 [queries, depth]."""
    found = np.zeros(rows.shape)
    if not len(worth):
        return found
    width = 1 + max(int(rows.max(initial=0)), int(relevant.documents.max()))
    pairs = relevant.queries * width + relevant.documents
    order = np.argsort(pairs)
    asked = np.arange(len(rows))[:, None] * width + rows
    at = order[np.minimum(np.searchsorted(pairs, asked, sorter=order), len(order) - 1)]
    judged = (pairs[at] == asked) & (rows >= 0)
    found[judged] = worth[at[judged]]
    return found
