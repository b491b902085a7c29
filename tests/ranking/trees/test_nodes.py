"""Nodes must form a tree."""

import numpy as np
import pytest

from ranking.errors import ArtifactError
from ranking.trees.nodes import MAX_DEPTH, in_range, reachable


def _links(left: list[int], right: list[int]) -> np.ndarray:
    first = np.array(left)
    return reachable(first, np.array(right), first == -1, "tree 0")


def test_a_tree_is_reached_whole_and_what_is_beside_it_is_not() -> None:
    """Root 0 with leaves 1 and 2; node 3 hangs nowhere."""
    assert _links([1, -1, -1, -1], [2, -1, -1, -1]).tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ([1, -1], [1, -1]),
        ([1, 0, -1], [2, 2, -1]),
        ([0], [0]),
        ([1, 3, 3, -1, -1, -1], [2, 4, 5, -1, -1, -1]),
    ],
    ids=["same child twice", "cycle to the root", "own child", "two parents"],
)
def test_shared_nodes_and_cycles_are_refused(left: list[int], right: list[int]) -> None:
    """A walk over such links would not end, or would end elsewhere than the trainer meant."""
    with pytest.raises(ArtifactError, match=r"tree 0: a node is reached twice|deeper"):
        _links(left, right)


def test_a_chain_longer_than_the_limit_is_refused() -> None:
    """TreeSHAP would recurse as deep."""
    inner = MAX_DEPTH + 1
    left = [node + 1 for node in range(inner)] + [-1] * (inner + 1)
    right = [inner + 1 + node for node in range(inner)] + [-1] * (inner + 1)
    with pytest.raises(ArtifactError, match=f"deeper than {MAX_DEPTH} levels"):
        _links(left, right)


def test_the_entry_out_of_range_is_named() -> None:
    """Its place, value and range."""
    in_range(np.array([0, 3]), 4, "split_feature")
    with pytest.raises(ArtifactError, match=r"split_feature: entry 1 is 4, outside 0\.\.3"):
        in_range(np.array([0, 4]), 4, "split_feature")
