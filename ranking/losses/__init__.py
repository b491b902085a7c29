"""What torch trains on: the names of `ranking.objectives`, readable, on padded lists (extra `neural`).

    loss(scores, labels, where, weights=None) -> scalar

scores   [..., list], any floating dtype; gradients flow into it
labels   [..., list], >= 0
where    bool [..., list], True at real documents; the rest is padding and never counts
weights  [...] one weight a list, or None

Losses sum within a list and over lists, as the compiled objectives do: autograd of a member of `LOSSES`
is the gradient of its namesake in `OBJECTIVES`, and a registry-walking test says so.
"""

from __future__ import annotations

from ranking.losses.pairwise import PairwiseLoss
from ranking.objectives import OBJECTIVES

__all__ = ["LOSSES", "PairwiseLoss"]

LOSSES: dict[str, PairwiseLoss] = {name: PairwiseLoss(objective) for name, objective in OBJECTIVES.items()}
"""The losses with default parameters; `PairwiseLoss(objective)` is that of any other."""
