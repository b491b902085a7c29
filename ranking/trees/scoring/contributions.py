"""TreeSHAP: how much each feature moved a score, path-dependent, exact.

For a leaf of value v whose path tests the features P, let z_j be the share of the training rows that features
j's tests let through, and o_j 1 where this row passes them all, else 0. The Shapley value of i is

    phi_i = sum over leaves  v (o_i - z_i) integral_0^1 prod_{j in P, j != i} (o_j t + z_j (1 - t)) dt

since |S|! (d - |S| - 1)! / d! is the integral of t^|S| (1 - t)^(d - |S| - 1). The integrand is a polynomial
of degree d - 1, so that Gauss-Legendre quadrature with ceil(d / 2) nodes is exact. At one node t every path
is a product of numbers, made once on the way down; on the way up the sums over leaves below an edge give
the terms of its feature (Lundberg et al. 2018; the way down and up: Linear TreeSHAP, Yu et al. 2022).

f = o t + z (1 - t) has two values an edge, for rows that pass and for rows that do not: nothing is divided by
a share of zero. Where a path tests a feature again, its edge takes the factor of the edge before out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ranking.compiled.jit import compiled
from ranking.trees.forest import Forest

LANES = 8
"""Rows explained at once: a vector of doubles."""


class Paths(NamedTuple):
    """A forest's splits, parents first, for the way down and up. Edge 2 s + 1 goes right from split s."""

    first: Any
    """int64 [trees + 1]: where each tree's splits begin; numbers below count within a tree"""
    feature: Any
    """int32 [splits]"""
    column: Any
    """int32 [splits]"""
    place: Any
    """uint8 [splits]"""
    child: Any
    """int32 [splits, 2]: a split, or below 0 a leaf: −1 − its place in `value`"""
    before: Any
    """int32 [splits]: the edge above that tests the same feature, or −1"""
    share: Any
    """float64 [splits, 2]: of the training rows here, those that take this edge"""
    passed: Any
    """float64 [splits, 2]: the product of the shares of this feature's edges down to this one: z"""
    value: Any
    """float64 [leaves]"""
    nodes: Any
    """int64 [trees]: quadrature nodes"""
    expected: Any
    """float64 [trees]: mean over the training rows"""


def paths_of(forest: Forest, column: Any, place: Any) -> Paths:
    """The Paths of a forest whose splits test these columns and places."""
    paths: Paths = _paths(
        forest.first_split, forest.first_leaf, forest.feature, column, place, forest.left, forest.right,
        forest.value.astype(np.float64), forest.split_cover, forest.leaf_cover,
    )  # fmt: skip
    return paths


@compiled
def _paths(
    first_split: Any, first_leaf: Any, feature: Any, column: Any, place: Any, left: Any, right: Any,
    value: Any, split_cover: Any, leaf_cover: Any,
) -> Any:  # pragma: no cover - compiled  # fmt: skip
    trees, splits = len(first_split) - 1, len(feature)
    order = np.empty(splits, np.int64)
    parent = np.empty(splits, np.int32)
    child = np.empty((splits, 2), np.int32)
    before = np.empty(splits, np.int32)
    share = np.empty((splits, 2))
    passed = np.empty((splits, 2))
    tested = np.zeros(splits, np.int32)
    nodes = np.ones(trees, np.int64)
    expected = np.zeros(trees)
    for tree in range(trees):
        start, leaves = first_split[tree], first_leaf[tree]
        count = first_split[tree + 1] - start
        if count == 0:
            expected[tree] = value[leaves]
            continue
        order[start], parent[start], seen = start, -1, 1
        deepest = 0
        for k in range(count):
            split = order[start + k]
            edge, here = parent[start + k], feature[split]
            while edge >= 0 and feature[order[start + edge // 2]] != here:
                edge = parent[start + edge // 2]
            before[start + k] = edge
            above = passed[start + edge // 2, edge % 2] if edge >= 0 else 1.0
            up = parent[start + k]
            tested[start + k] = (tested[start + up // 2] if up >= 0 else 0) + (edge < 0)
            deepest = max(deepest, tested[start + k])
            for side in range(2):
                below = left[split] if side == 0 else right[split]
                cover = split_cover[start + below] if below >= 0 else leaf_cover[leaves - below - 1]
                whole = split_cover[split]
                share[start + k, side] = cover / whole if whole > 0 else 0.0
                passed[start + k, side] = above * share[start + k, side]
                if below >= 0:
                    order[start + seen], parent[start + seen] = start + below, 2 * k + side
                    child[start + k, side] = seen
                    seen += 1
                else:
                    child[start + k, side] = -(leaves - below - 1) - 1
        nodes[tree] = (deepest + 1) // 2
        expected[tree] = _expected(share[start : start + count], child[start : start + count], value)
    return Paths(
        first_split,
        feature[order],
        column[order],
        place[order],
        child,
        before,
        share,
        passed,
        value,
        nodes,
        expected,
    )


@compiled
def _expected(share: Any, child: Any, value: Any) -> float:  # pragma: no cover - compiled
    reach = np.zeros(len(share))
    reach[0] = 1.0
    total = 0.0
    for k in range(len(share)):
        for side in range(2):
            weight = reach[k] * share[k, side]
            if child[k, side] >= 0:
                reach[child[k, side]] = weight
            else:
                total += weight * value[-child[k, side] - 1]
    return total


def quadrature(most: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(nodes, weights) of Gauss-Legendre on [0, 1], float64 [most + 1, most]: row m has m of them."""
    nodes, weights = np.zeros((most + 1, most)), np.zeros((most + 1, most))
    for m in range(1, most + 1):
        at, weight = np.polynomial.legendre.leggauss(m)
        nodes[m, :m], weights[m, :m] = (at + 1) / 2, weight / 2
    return nodes, weights


@compiled
def add_contributions(
    paths: Any, nodes: Any, weights: Any, codes: Any, found: Any
) -> None:  # pragma: no cover - compiled
    """Add every tree's Shapley values and, last, its expected value to found, float64 [rows, features + 1].

    `codes` int8 [columns, at least LANES], less 128, are those of the rows, at most LANES.
    """
    first, feature, column, place, child, before, share, passed, value, counts, expected = paths
    most = 2 * np.diff(first).max() if len(first) > 1 else 0
    passes = np.empty((most, LANES))
    product = np.empty((most, LANES))
    total = np.empty((most, LANES))
    ones = np.ones(LANES)
    phi = np.zeros((found.shape[1], LANES))
    for tree in range(len(counts)):
        phi[-1] += expected[tree]
        start, count = first[tree], first[tree + 1] - first[tree]
        for k in range(count):
            code = codes[column[start + k]]
            up = passes[before[start + k]] if before[start + k] >= 0 else ones
            for lane in range(LANES):
                goes_left = code[lane] + 128 <= place[start + k]
                passes[2 * k, lane] = up[lane] * goes_left
                passes[2 * k + 1, lane] = up[lane] * (not goes_left)
        for q in range(counts[tree] if count else 0):
            t = nodes[counts[tree], q]
            _down(t, start, count, before, share, passed, child, value, passes, product, total)
            _up(t, weights[counts[tree], q], start, count, feature, before, passed, child, passes, total, phi)
    for row in range(len(found)):
        for i in range(found.shape[1]):
            found[row, i] += phi[i, row]


@compiled
def _down(
    t: float, start: int, count: int, before: Any, share: Any, passed: Any, child: Any, value: Any,
    passes: Any, product: Any, total: Any,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """The product of the factors down to each edge; for the edges of leaves times their value, in `total`."""
    ones = np.ones(LANES)
    parent = np.full(count, -1, np.int32)
    for k in range(count):
        edge = before[start + k]
        up = passes[edge] if edge >= 0 else ones
        above = product[parent[k]] if parent[k] >= 0 else ones
        z_up = passed[start + edge // 2, edge % 2] if edge >= 0 else 1.0
        hot_up = t + z_up * (1 - t)
        for side in range(2):
            z = passed[start + k, side]
            hot, cold, dead = (t + z * (1 - t)) / hot_up, z * (1 - t) / hot_up, share[start + k, side]
            here, mine = passes[2 * k + side], product[2 * k + side]
            below = child[start + k, side]
            for lane in range(LANES):
                factor = (hot if here[lane] > 0 else cold) if up[lane] > 0 else dead
                mine[lane] = above[lane] * factor
            if below >= 0:
                parent[below] = 2 * k + side
            else:
                for lane in range(LANES):
                    total[2 * k + side, lane] = mine[lane] * value[-below - 1]


@compiled
def _up(
    t: float, weight: float, start: int, count: int, feature: Any, before: Any, passed: Any, child: Any,
    passes: Any, total: Any, phi: Any,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """Sum the leaves below each edge, and add each edge's part to its feature."""
    ones = np.ones(LANES)
    cold = -1 / (1 - t)
    for k in range(count - 1, -1, -1):
        edge = before[start + k]
        up = passes[edge] if edge >= 0 else ones
        z_up = passed[start + edge // 2, edge % 2] if edge >= 0 else 1.0
        hot_up = (1 - z_up) / (t + z_up * (1 - t))
        mine = phi[feature[start + k]]
        for side in range(2):
            z, below = passed[start + k, side], child[start + k, side]
            hot = (1 - z) / (t + z * (1 - t))
            here, sums = passes[2 * k + side], total[2 * k + side]
            if below >= 0:
                for lane in range(LANES):
                    sums[lane] = total[2 * below, lane] + total[2 * below + 1, lane]
            for lane in range(LANES):
                part = ((hot if here[lane] > 0 else cold) - hot_up) if up[lane] > 0 else 0.0
                mine[lane] += weight * sums[lane] * part
