"""`ForestEvaluator`: a forest made ready to score rows, explain them, or find the best of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from ranking.data.arrays import Float32, Float64
from ranking.trees.forest import Array, Forest
from ranking.trees.scoring.columns import Columns, columns_of
from ranking.trees.scoring.contributions import LANES, Paths, add_contributions, paths_of, quadrature
from ranking.trees.scoring.kernels import BLOCK, add_scores, add_trees, encode_rows
from ranking.trees.scoring.layout import Layout, lay_out
from ranking.trees.scoring.walking import Walk, lay_walk, walk_rows

WALKED = 10
"""Up to so many rows are walked: bit vectors cost the same for one row as for 32."""

_ROUNDING = 2.0**-20
"""Of the largest possible sum: more than any order of summation can be off by, in float32 too."""


@dataclass(frozen=True, eq=False)
class ForestEvaluator:
    """A forest in the forms its kernels read; safe to use from any number of threads at once.

    `nan_is_zero`: is NaN in a row taken for 0, whatever the trees say of missing values?
    """

    forest: Forest
    nan_is_zero: bool
    columns: Columns
    layout: Layout
    walk: Walk | None
    column: Array
    place: Array

    @classmethod
    def of(cls, forest: Forest, *, nan_is_zero: bool = False) -> Self:
        columns, column, place = columns_of(forest)
        layout = lay_out(
            forest.first_split, forest.first_leaf, forest.left, forest.right, column, place, forest.value,
            len(columns.feature),
        )  # fmt: skip
        return cls(forest, nan_is_zero, columns, layout, lay_walk(columns, layout), column, place)

    def score(self, features: Float32, threads: int = 1) -> Array:
        """Raw scores [rows] of float32 [rows, features]; NaN is missing.

        They are the sums of LightGBM (float64) and of XGBoost (float32), bit for bit. `threads` share the
        rows out in blocks.
        """
        rows, forest = _bits(features), self.forest
        if self.walk is not None and len(rows) <= WALKED:
            scores = np.empty(len(rows), forest.value.dtype)
            walk_rows(*self.walk, rows, self.nan_is_zero, forest.base, scores)
            return self._averaged(scores)
        scores = np.full(len(rows), forest.base, forest.value.dtype)
        share = -(-len(rows) // (threads * BLOCK)) * BLOCK
        if threads > 1 and len(rows) > share:
            with ThreadPoolExecutor(threads) as pool:
                parts = [slice(at, at + share) for at in range(0, len(rows), share)]
                list(pool.map(lambda part: self._add(rows[part], scores[part]), parts))
        else:
            self._add(rows, scores)
        return self._averaged(scores)

    def _add(self, rows: Array, scores: Array) -> None:
        add_scores(self.columns, self.layout, rows, self.nan_is_zero, scores)

    def _averaged(self, scores: Array) -> Array:
        if self.forest.average:
            scores /= self.forest.tree_count
        return scores

    def scores_by_trees(self, features: Float32, counts: Sequence[int]) -> Iterator[Array]:
        """`score` by only the first trees, for each of these rising numbers of them.

        Every tree is evaluated once; rows are encoded once, in some half of the memory they take.
        """
        codes = encode_rows(self.columns, _bits(features), self.nan_is_zero)
        scores = np.full(len(features), self.forest.base, self.forest.value.dtype)
        for begin, end in itertools.pairwise([0, *counts]):
            add_trees(self.layout, codes, begin, end, scores)
            yield scores / end if self.forest.average else scores.copy()

    def best(self, features: Float32, k: int, parts: int = 4) -> tuple[Array, Array]:
        """(rows int64, scores) of the k best, best first, ties in the order of the rows: as `score` has them.

        Early exit: the trees are added in `parts`. After each, a row whose score plus the most that the other
        trees can add stays below what the k-th row has at least is out, and is evaluated no further.
        """
        rows = _bits(features)
        codes = encode_rows(self.columns, rows, self.nan_is_zero)
        kept = np.arange(len(rows))
        scores = np.full(len(rows), self.forest.base, self.forest.value.dtype)
        cuts = np.linspace(0, self.forest.tree_count, parts + 1).astype(int)
        least, most, slack = self._still_to_come
        for begin, end in itertools.pairwise(cuts):
            add_trees(self.layout, codes, int(begin), int(end), scores)
            if end < self.forest.tree_count and len(kept) > k > 0:
                floor = np.partition(scores, -k)[-k] + least[end] - slack
                stays = np.flatnonzero(scores + most[end] + slack >= floor)
                # Encoding what is left once more pays only where whole blocks are saved.
                if len(stays) <= len(kept) - BLOCK:
                    kept, scores = kept[stays], scores[stays]
                    codes = encode_rows(self.columns, rows[kept], self.nan_is_zero)
        order = np.argsort(-scores, kind="stable")[:k]
        return kept[order], self._averaged(scores[order])

    @cached_property
    def _still_to_come(self) -> tuple[Float64, Float64, float]:
        """(least, most) that the trees from each on add, float64 [trees + 1], and the room for rounding."""
        starts, values = self.forest.first_leaf[:-1], self.forest.value.astype(np.float64)
        least, most = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
        reach = abs(self.forest.base) + np.maximum(np.abs(least), np.abs(most)).sum()
        sums = [np.append(np.cumsum(one[::-1])[::-1], 0.0) for one in (least, most)]
        return sums[0], sums[1], reach * _ROUNDING

    def contributions(self, features: Float32) -> Float64:
        """TreeSHAP, float64 [rows, features + 1]: what each feature adds to a score, and last the mean score.

        Path-dependent, over the training rows that the model counted in its nodes; a row's sum is its score.
        """
        paths, nodes, weights = self._paths
        rows = _bits(features)
        found = np.zeros((len(rows), self.forest.feature_count + 1))
        for first in range(0, len(rows), LANES):
            codes = encode_rows(self.columns, rows[first : first + LANES], self.nan_is_zero)[0]
            add_contributions(paths, nodes, weights, codes, found[first : first + LANES])
        self._averaged(found)
        found[:, -1] += self.forest.base
        return found

    @cached_property
    def _paths(self) -> tuple[Paths, Float64, Float64]:
        paths = paths_of(self.forest, self.column, self.place)
        return paths, *quadrature(int(paths.nodes.max()))


def _bits(features: Float32) -> Array:
    """The float32 rows as the integers of their bits."""
    return np.ascontiguousarray(features, np.float32).view(np.int32)
