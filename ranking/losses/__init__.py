"""What torch trains on: the names of `ranking.objectives`, readable, on padded lists (extra `neural`).

    loss(scores, labels, where, weights=None) -> scalar

scores   [..., list], any floating dtype; gradients flow into it
labels   [..., list], >= 0
where    bool [..., list], True at real documents; the rest is padding and never counts
weights  [...] one weight a list, or None

pairwise   a pair formula times a pair weight
weights    the pair weights of the metrics, by ranks
pointwise  each document against its own target
listwise   cross-entropy of the list's softmax

Losses sum within a list and over lists, as the compiled objectives do: autograd of a member of `LOSSES`
is the gradient of its namesake in `OBJECTIVES`, and a registry-walking test says so.
"""

from __future__ import annotations

from typing import Any

from ranking.errors import UsageError
from ranking.losses.listwise import ListwiseLoss
from ranking.losses.pairwise import PairwiseLoss
from ranking.losses.pointwise import PointwiseLoss
from ranking.objectives import OBJECTIVES

__all__ = ["LOSSES", "ListwiseLoss", "PairwiseLoss", "PointwiseLoss", "loss_of"]

_FAMILIES: dict[str, Any] = {"pairwise": PairwiseLoss, "pointwise": PointwiseLoss, "listwise": ListwiseLoss}


def loss_of(objective: Any) -> PairwiseLoss | PointwiseLoss | ListwiseLoss:
    """The torch loss of an objective with any parameters.

    Raises UsageError for one that has no torch form: a user's file, or one over perturbed scores.
    """
    if objective.name in ("own", "gumbel"):
        raise UsageError(
            f"the objective {objective.name!r} has no torch loss: perturb the scores, or write it"
        )
    made: PairwiseLoss | PointwiseLoss | ListwiseLoss = _FAMILIES[objective.family](objective)
    return made


LOSSES: dict[str, PairwiseLoss | PointwiseLoss | ListwiseLoss] = {
    name: loss_of(objective) for name, objective in OBJECTIVES.items()
}
"""The losses with default parameters; `loss_of(objective)` is that of any other."""
