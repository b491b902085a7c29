"""A forest of fewer trees: which ones stay, and what every prefix scores.

Boosting puts what matters first, so that a member keeps its first trees. Members of a merged forest are cut
together: tree i of n stands at (i + 1/2) / n of its member, and the trees that stand first stay, so that each
member keeps its share of any number, and the trees of a smaller model are among those of every larger one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ranking.data.arrays import Float32, Int64
from ranking.errors import UsageError
from ranking.trees.merging import of_trees
from ranking.trees.ranker import TreeRanker


def cut_order(members: Sequence[int]) -> Int64:
    """The numbers of all trees, those that stay longest first, int64 [trees].

    `members`: how many trees each has, in the order they stand in the forest; one number for a forest that
    was not merged.
    """
    places = np.concatenate([(np.arange(count) + 0.5) / count for count in members])
    return np.argsort(places, kind="stable")


def kept_of(members: Sequence[int], trees: int) -> tuple[int, ...]:
    """How many trees each member keeps where `trees` stay in all."""
    owner = np.repeat(np.arange(len(members)), members)
    counts = np.bincount(owner[cut_order(members)[:trees]], minlength=len(members))
    return tuple(counts.tolist())


def shrunk(ranker: TreeRanker, trees: int, members: Sequence[int] | None = None) -> TreeRanker:
    """The model of so many of its trees, each member's first ones in the order they stood.

    Raises UsageError for fewer than 1 or more than there are, and for members of another number of trees.
    """
    sizes = _sizes(ranker, members)
    if not 1 <= trees <= sum(sizes):
        raise UsageError(f"the model has {sum(sizes)} trees: 1 to {sum(sizes)} can be kept, got {trees}")
    return of_trees(ranker, np.sort(cut_order(sizes)[:trees]).tolist())


def scores_by_trees(
    ranker: TreeRanker, features: Float32, counts: Sequence[int], members: Sequence[int] | None = None
) -> Iterator[Float32]:
    """Scores of each `shrunk` model of these rising numbers of trees, float32 [rows], one walk for all.

    XGBoost's may differ from the model's own in the last bits: float32 sums of trees in another order.
    """
    ordered = of_trees(ranker, cut_order(_sizes(ranker, members)).tolist())
    for scores in ordered.evaluator.scores_by_trees(features, counts):
        yield scores.astype(np.float32)


def _sizes(ranker: TreeRanker, members: Sequence[int] | None) -> Sequence[int]:
    count = ranker.evaluator.forest.tree_count
    if members is None:
        return [count]
    if min(members, default=-1) < 0 or sum(members) != count:
        raise UsageError(f"members of {list(members)} trees expected to be the {count} that the model has")
    return members
