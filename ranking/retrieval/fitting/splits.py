"""Training and held-out judgments: at random, and such that no document is judged in both.

Where documents repeat, what was trained on random folds is tested on documents it has seen. Two ways out:

grouped  queries that share a relevant document stay together (`grouped_folds`), each fold against the whole
         collection. The default where it divides: no judgment is lost.
crossed  where nearly all queries hang together: folds of queries at random and folds of documents at random,
         each held-out fold of queries judged on the fold of documents of its number alone, which no training
         fold of training sees, not even as negatives. Such an nDCG is of a smaller collection, and higher.
         (To keep one collection, and leave out the training judgments of every document that a held-out query
         has, would leave no training where queries have forty each; and whatever training had pulled near
         would be a wrong answer by construction.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ranking.data.arrays import Float32, Float64, Int64
from ranking.errors import DataError
from ranking.retrieval.folds import grouped_folds, random_folds
from ranking.retrieval.index import ExactIndex
from ranking.retrieval.judgments import Judgments, ndcg
from ranking.retrieval.towers import Towers

K = 10
How = Literal["grouped", "crossed", "random"]

_DIVIDES = 0.5
"""A fold with more of the queries than this leaves too few to train on."""


@dataclass(frozen=True, eq=False)
class Split:
    """One fold.

    train      judgments to learn from
    test       held-out judgments, of other queries
    among      int64, rows of the documents that are searched, and are not there in training; None for all,
               in both
    """

    train: Judgments
    test: Judgments
    among: Int64 | None = None

    def seen(self, documents: Float32) -> tuple[Float32, Judgments]:
        """(documents, judgments) to train on, documents numbered anew where some are left out."""
        if self.among is None:
            return documents, self.train
        kept = np.ones(len(documents), bool)
        kept[self.among] = False
        number = np.cumsum(kept) - 1
        train = Judgments(self.train.queries, number[self.train.documents], self.train.grades)
        return documents[kept], train

    def ndcg(self, queries: Float32, documents: Float32, towers: Towers) -> Float64:
        """nDCG@10 of each query, float64 [queries], NaN for those that are not held out."""
        asked = np.unique(self.test.relevant.queries)
        values = np.full(len(queries), np.nan)
        rows = np.arange(len(documents)) if self.among is None else self.among
        index = ExactIndex.of(towers.documents(documents[rows]), towers.document_fingerprint)
        number = np.full(len(documents), -1)
        number[rows] = np.arange(len(rows))
        judged = self.test.where(np.isin(self.test.queries, asked) & (number[self.test.documents] >= 0))
        judged = Judgments(np.searchsorted(asked, judged.queries), number[judged.documents], judged.grades)
        values[asked] = ndcg(index.search(towers.queries(queries[asked]), K), judged, K)
        return values


def leak_free(
    judgments: Judgments, queries: int, documents: int, folds: int, seed: int = 0
) -> tuple[How, list[Split]]:
    """Which way, and the folds; queries without a relevant document are in none.

    Raises DataError for fewer queries with a relevant document than folds.
    """
    asked = _asked(judgments, folds)
    relevant = judgments.relevant
    renumbered = Judgments(np.searchsorted(asked, relevant.queries), relevant.documents, relevant.grades)
    fold = np.full(queries, -1)
    fold[asked] = grouped_folds(renumbered, len(asked), folds, seed)
    sizes = np.bincount(fold[asked], minlength=folds)
    if sizes.max() <= max(_DIVIDES, 1.5 / folds) * len(asked) and sizes.min() > 0:
        return "grouped", [_split(judgments, fold, one) for one in range(folds)]
    fold[asked] = random_folds(len(asked), folds, seed)
    if documents < folds:
        raise DataError(f"expected a document for each of the {folds} folds at least, got {documents}")
    part = random_folds(documents, folds, seed)
    return "crossed", [_crossed(judgments, fold, part, one) for one in range(folds)]


def random_splits(judgments: Judgments, queries: int, folds: int, seed: int = 0) -> list[Split]:
    """Folds of queries at random; held-out documents may be in training. Raises as `leak_free`."""
    asked = _asked(judgments, folds)
    fold = np.full(queries, -1)
    fold[asked] = random_folds(len(asked), folds, seed)
    return [_split(judgments, fold, one) for one in range(folds)]


def sharing(judgments: Judgments) -> int:
    """How many queries have a relevant document that another one has too."""
    relevant = judgments.relevant
    _, number, count = np.unique(relevant.documents, return_inverse=True, return_counts=True)
    return len(np.unique(relevant.queries[count[number] > 1]))


def _asked(judgments: Judgments, folds: int) -> Int64:
    asked = np.unique(judgments.relevant.queries)
    if len(asked) < folds:
        raise DataError(
            f"expected a query with a relevant document for each of {folds} folds at least, got {len(asked)}"
        )
    return asked


def _split(judgments: Judgments, fold: Int64, one: int) -> Split:
    of_query = fold[judgments.queries]
    return Split(judgments.where((of_query != one) & (of_query >= 0)), judgments.where(of_query == one))


def _crossed(judgments: Judgments, fold: Int64, part: Int64, one: int) -> Split:
    of_query, of_document = fold[judgments.queries], part[judgments.documents]
    return Split(
        judgments.where((of_query != one) & (of_query >= 0) & (of_document != one)),
        judgments.where((of_query == one) & (of_document == one)),
        np.flatnonzero(part == one),
    )
