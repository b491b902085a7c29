"""What an arm of the search gives: the best documents of each query, by row of the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ranking.data.arrays import Float32, Int64
from ranking.errors import UsageError


@dataclass(frozen=True, eq=False)
class Candidates:
    """The best documents of each query, best first, equal scores by row.

    rows    int64 [queries, depth], rows of the collection; -1 where there are no more
    scores  float32 [queries, depth]; -inf where there are no more
    """

    rows: Int64
    scores: Float32

    @classmethod
    def empty(cls, queries: int, depth: int) -> Candidates:
        """Nothing found yet, to be filled by `put`. Raises UsageError for a depth below 1."""
        if depth < 1:
            raise UsageError(f"the depth of a search must be at least 1, got {depth}")
        return cls(np.full((queries, depth), -1, np.int64), np.full((queries, depth), -np.inf, np.float32))

    def put(self, query: int, rows: Int64, scores: Float32) -> None:
        """The best of these documents; rows rise."""
        chosen = best(scores, self.rows.shape[1])
        self.rows[query, : len(chosen)] = rows[chosen]
        self.scores[query, : len(chosen)] = scores[chosen]


class Arm(Protocol):
    """An index that finds documents, and scores any it is asked for by the same numbers."""

    def search(self, queries: Any, depth: int, /) -> Candidates: ...

    def scores(self, query: Any, rows: Int64, /) -> Float32: ...


def best(scores: npt.NDArray[Any], depth: int) -> Int64:
    """Places of the `depth` highest scores [documents], highest first, equal ones by place.

    >>> best(np.array([1.0, 3.0, 2.0, 3.0, 2.0]), 3).tolist()
    [1, 3, 2]
    """
    if depth < len(scores):
        last = np.partition(scores, len(scores) - depth)[len(scores) - depth]
        # Of those that equal the last, the first places: whatever a partition leaves there is arbitrary.
        above, equal = np.flatnonzero(scores > last), np.flatnonzero(scores == last)
        chosen = np.sort(np.concatenate([above, equal[: depth - len(above)]]))
    else:
        chosen = np.arange(len(scores))
    return chosen[np.argsort(-scores[chosen], kind="stable")]
