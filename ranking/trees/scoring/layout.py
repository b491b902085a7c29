"""A forest as the kernels read it: bit masks for blocks of rows, and nodes to walk."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ranking.compiled.jit import compiled

LARGEST_TREE = 256
"""Leaves of a tree that bit vectors take: a leaf's number is a byte."""

MOST_COLUMNS = 1 << 15
"""An entry has 16 bits for its column, of which there are two for each: codes, and 255 less codes."""


class Layout(NamedTuple):
    """A forest as the kernels read it, besides its columns. A tree without groups is walked."""

    first_group: Any
    """int64 [trees + 1]"""
    group_starts: Any
    """int64 [groups + 1]: where each group's entries begin"""
    entries: Any
    """uint32: column << 16 | bound << 8 | bits to clear where the code is below the bound; a code is above p
    where 255 less it is below 255 − p. Bounds are less 128, as codes are"""
    first_leaf: Any
    """int64 [trees + 1]"""
    leaf_value: Any
    """[leaves], each tree's in the order of its bits"""
    root: Any
    """int64 [trees]: node of each tree's root"""
    nodes: Any
    """int32 [nodes, 2]: column << 8 | place, and the left child, beside which stands the right one; a leaf is
    its own child, at place 255, above which is no code"""
    node_value: Any
    """[nodes]: the leaves' values"""


@compiled
def lay_out(
    first_split: Any,
    first_leaf: Any,
    left: Any,
    right: Any,
    column: Any,
    place: Any,
    value: Any,
    columns: int,
) -> Any:  # pragma: no cover - compiled
    """The Layout of a forest whose splits test these columns and places; with too many columns all walk."""
    trees, splits = len(first_split) - 1, len(left)
    order = np.empty(splits, np.int64)
    below = np.zeros(splits, np.int64)
    start = np.zeros(splits, np.int64)
    left_first = np.zeros(splits, np.bool_)
    first_group = np.zeros(trees + 1, np.int64)
    root = first_split[:-1] + first_leaf[:-1]
    nodes = np.empty((splits + len(value), 2), np.int32)
    node_value = np.zeros(splits + len(value), value.dtype)
    leaf_value = np.empty_like(value)
    for tree in range(trees):
        splits_here = slice(first_split[tree], first_split[tree + 1])
        leaves_here = slice(first_leaf[tree], first_leaf[tree + 1])
        size = first_leaf[tree + 1] - first_leaf[tree]
        groups = (size + 7) // 8 if size <= LARGEST_TREE and columns <= MOST_COLUMNS else 0
        first_group[tree + 1] = first_group[tree] + groups
        _place_nodes(
            left[splits_here], right[splits_here], column[splits_here], place[splits_here],
            value[leaves_here], root[tree], order[splits_here], nodes, node_value,
        )  # fmt: skip
        _order_leaves(
            left[splits_here], right[splits_here], value[leaves_here], order[splits_here],
            below[splits_here], start[splits_here], left_first[splits_here], leaf_value[leaves_here],
        )  # fmt: skip
    starts, entries = _entries(first_split, first_group, column, place, below, start, left_first, columns)
    return Layout(first_group, starts, entries, first_leaf, leaf_value, root, nodes, node_value)


@compiled
def _place_nodes(
    left: Any,
    right: Any,
    column: Any,
    place: Any,
    value: Any,
    root: int,
    order: Any,
    nodes: Any,
    node_value: Any,
) -> None:  # pragma: no cover - compiled
    """One tree's nodes, level by level, siblings side by side; `order` gets its splits, parents first."""
    node_of = np.empty(len(left), np.int64)
    seen, free = 0, root
    if len(left) == 0:
        nodes[root, 0], nodes[root, 1] = 255, root
        node_value[root] = value[0]
        return
    order[0], node_of[0] = 0, root
    seen, free = 1, root + 1
    for k in range(len(left)):
        split = order[k]
        nodes[node_of[k], 0], nodes[node_of[k], 1] = (column[split] << 8) | place[split], free
        for child in (left[split], right[split]):
            if child >= 0:
                order[seen], node_of[seen] = child, free
                seen += 1
            else:
                nodes[free, 0], nodes[free, 1] = 255, free
                node_value[free] = value[-child - 1]
            free += 1


@compiled
def _order_leaves(
    left: Any, right: Any, value: Any, order: Any, below: Any, start: Any, left_first: Any, leaf_value: Any
) -> None:  # pragma: no cover - compiled
    """Number one tree's leaves so that at each split those of the smaller child come first.

    Of each split: `below` its smaller child's leaves, `start` the first of them, `left_first` which child.
    """
    if len(left) == 0:
        leaf_value[0] = value[0]
        return
    for k in range(len(left) - 1, -1, -1):
        split = order[k]
        for child in (left[split], right[split]):
            below[split] += below[child] if child >= 0 else 1
    start[0] = 0
    for k in range(len(left)):
        split = order[k]
        lefts = below[left[split]] if left[split] >= 0 else 1
        rights = below[split] - lefts
        left_first[split] = lefts <= rights
        below[split] = min(lefts, rights)
        middle = start[split] + below[split]
        pairs = (
            (left[split], start[split] if left_first[split] else middle),
            (right[split], middle if left_first[split] else start[split]),
        )
        for child, at in pairs:
            if child >= 0:
                start[child] = at
            else:
                leaf_value[at] = value[-child - 1]


@compiled
def _entries(
    first_split: Any, first_group: Any, column: Any, place: Any, below: Any, start: Any, left_first: Any,
    columns: int,
) -> Any:  # pragma: no cover - compiled  # fmt: skip
    """(group_starts, entries) of a Layout; a row that leaves a split's smaller child clears its leaves."""
    trees = len(first_group) - 1
    starts = np.zeros(first_group[trees] + 1, np.int64)
    entries = np.empty(0, np.uint32)
    for filling in (False, True):
        if filling:
            starts = np.cumsum(starts)
            entries = np.empty(starts[-1], np.uint32)
        at = starts[:-1].copy() if filling else starts[1:]
        for tree in range(trees):
            if first_group[tree] == first_group[tree + 1]:
                continue
            for s in range(first_split[tree], first_split[tree + 1]):
                test, bound = np.int64(column[s]), np.int64(place[s]) + 1
                if left_first[s]:
                    test, bound = test + columns, 256 - bound
                for g in range(start[s] // 8, (start[s] + below[s] - 1) // 8 + 1):
                    if filling:
                        cleared = 0
                        for leaf in range(max(start[s], 8 * g), min(start[s] + below[s], 8 * g + 8)):
                            cleared |= 1 << (leaf - 8 * g)
                        entries[at[first_group[tree] + g]] = (test << 16) | ((bound ^ 128) << 8) | cleared
                    at[first_group[tree] + g] += 1
    return starts, entries
