"""Nodes that form a tree: each reached once from node 0, and not too deep."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ranking.errors import ArtifactError

MAX_DEPTH = 2048
"""TreeSHAP recurses, with memory in the square of the depth; trees that learn stay far below."""

Array = npt.NDArray[Any]


def reachable(left: Array, right: Array, leaf: Array, where: str) -> npt.NDArray[np.bool_]:
    """Which nodes hang below node 0: bool [nodes]; refuses nodes with two parents, cycles and long chains.

    `left` and `right` hold node numbers in range wherever `leaf` is false.
    """
    inner = np.flatnonzero(~leaf)
    linked = np.concatenate([left[inner], right[inner]])
    parents = np.bincount(linked, minlength=len(leaf))
    # With one parent a node at most, and none of the root, no way down comes to a node twice.
    if parents[0] or parents.max() > 1:
        raise ArtifactError(f"{where}: a node is reached twice, so that this is no tree")
    seen = np.zeros(len(leaf), np.bool_)
    level = np.zeros(1, np.int64)
    for _ in range(MAX_DEPTH):
        seen[level] = True
        inner = level[~leaf[level]]
        if not len(inner):
            return seen
        level = np.concatenate([left[inner], right[inner]])
    raise ArtifactError(f"{where}: deeper than {MAX_DEPTH} levels")


def in_range(values: Array, stop: int, what: str) -> None:
    outside = np.flatnonzero((values < 0) | (values >= stop))
    if len(outside):
        raise ArtifactError(f"{what}: entry {outside[0]} is {values[outside[0]]}, outside 0..{stop - 1}")
