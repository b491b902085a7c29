"""Several forests of one backend as one, and forests of fewer trees: sums of trees are trees once more.

    score = sum_m scale_m score_m

is again a forest: the members' trees one after the other, each leaf times its member's scale. It is written
in the library's own form, and is scored, explained, served and exported like any other.

    part        what is taken of a model: which trees, times what
    lightgbm    LightGBM text put together
    xgboost     XGBoost's UBJSON put together
    ubj         a writer of UBJSON

No library opens a model here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pkgutil import resolve_name

from ranking.errors import UsageError
from ranking.trees.backends import BACKENDS
from ranking.trees.merging.part import Part
from ranking.trees.ranker import TreeRanker

__all__ = ["merged", "of_trees"]


def merged(
    members: Sequence[TreeRanker], scales: Sequence[float], trees: Sequence[int] | None = None
) -> TreeRanker:
    """The model whose scores are the sum of the members', each times its scale; trees stand in their order.

    `trees`: how many, from the first on, are taken of each member; without it all are. Of a LightGBM random
    forest, a mean, each tree is divided by how many are taken. XGBoost's DART weights go into the leaves, and
    what the scores start from into the base score. Its leaves are float32, so that a score is the sum to
    about 1e-6 of its size; LightGBM's are float64.

    Raises UsageError for members of other backends, features or missing policies, for scales that are not
    finite or too large for the leaves, and for more trees than a member has.
    """
    _check_alike(members)
    counts = [member.evaluator.forest.tree_count for member in members]
    taken = counts if trees is None else list(trees)
    if not len(scales) == len(taken) == len(members):
        raise UsageError(
            f"{len(members)} models need a scale (and number of trees) each, got {len(scales)} scales and "
            f"{len(taken)} numbers of trees"
        )
    for number, (scale, wanted, count) in enumerate(zip(scales, taken, counts, strict=True), 1):
        if not math.isfinite(scale):
            raise UsageError(f"the scale of model {number} must be a finite number, got {scale}")
        if not 1 <= wanted <= count:
            raise UsageError(f"model {number} has {count} trees: 1 to {count} can be taken, got {wanted}")
    return _together(
        [
            Part(member.model, member.evaluator.forest, float(scale), range(wanted))
            for member, scale, wanted in zip(members, scales, taken, strict=True)
        ],
        members[0],
    )


def of_trees(ranker: TreeRanker, numbers: Sequence[int]) -> TreeRanker:
    """The model of only the trees of these numbers (from 0), in this order.

    Raises UsageError for no tree at all, and for a number that there is not.
    """
    forest = ranker.evaluator.forest
    outside = [number for number in numbers if not 0 <= number < forest.tree_count]
    if outside or not len(numbers):
        wrong = f"got {outside[0]}" if outside else "got none"
        raise UsageError(f"the model has the trees 0 to {forest.tree_count - 1}: {wrong}")
    return _together([Part(ranker.model, forest, 1.0, [int(number) for number in numbers])], ranker)


def _together(parts: Sequence[Part], like: TreeRanker) -> TreeRanker:
    summed: Callable[[Sequence[Part]], bytes] = resolve_name(BACKENDS[like.kind].merger)
    return TreeRanker.from_bytes(
        like.kind, summed(parts), feature_names=like.feature_names, missing=like.missing
    )


def _check_alike(members: Sequence[TreeRanker]) -> None:
    """Raise UsageError where a member is of another backend than the first, or reads features otherwise."""
    if not members:
        raise UsageError("nothing to merge: name at least one model")
    first = members[0]
    for number, member in enumerate(members[1:], 2):
        told = f"model {number} cannot be merged with the first: "
        if member.kind != first.kind:
            raise UsageError(
                f"{told}it is of {member.kind}, the first of {first.kind}: train both with one --backend, or "
                "weigh them with `rankwright ensemble`"
            )
        if member.feature_count != first.feature_count:
            raise UsageError(f"{told}it has {member.feature_count} features, the first {first.feature_count}")
        if member.feature_names != first.feature_names:
            pairs = zip(member.feature_names, first.feature_names, strict=True)
            column, (ours, theirs) = next((i, pair) for i, pair in enumerate(pairs) if pair[0] != pair[1])
            raise UsageError(f"{told}its feature {column + 1} is {ours!r}, the first's is {theirs!r}")
        if member.missing != first.missing:
            raise UsageError(
                f"{told}it reads absent features as missing={member.missing}, the first as "
                f"missing={first.missing}: train both with one --missing"
            )
