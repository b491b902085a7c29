"""What a network learns: its objective from the labels, and beside it a teacher's scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ranking.losses import LOSSES
from ranking.losses.reduction import reduced

_USUAL = LOSSES["softmax"]


@dataclass(frozen=True)
class Lesson:
    """`(1 − share) · factor · loss + share · distance`, means over lists; without a teacher the loss alone.

    loss     of lists, as `ranking.losses` has them
    share    the teacher's
    factor   brings the loss to the size of the softmax cross-entropy, beside which the share is meant
    """

    loss: Any
    share: float
    factor: float = 1.0

    def __call__(
        self, scores: Tensor, where: Tensor, lists: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor | None]:
        """(what is made small, the distance to the teacher or None); `lists` as `Lists.batch` gives them."""
        teacher, weights = lists.get("teacher"), lists.get("weights")
        value = _value(self.loss, scores, where, lists)
        if teacher is None:
            return value, None
        apart = distance(scores, teacher, where, weights)
        return (1 - self.share) * self.factor * value + self.share * apart, apart.detach()


def lesson_for(loss: Any, share: float, some: Iterable[tuple[Any, Tensor, Mapping[str, Tensor]]]) -> Lesson:
    """The lesson whose factor is taken from these batches: by the gradients at equal scores, as a blend's.

    1 for a loss that has no gradient there.
    """
    ours = usual = 0.0
    for _, where, lists in some:
        ours += _gradient_at_equal(loss, where, lists)
        usual += _gradient_at_equal(_USUAL, where, lists)
    known = ours > 0 and usual > 0 and ours < float("inf")
    return Lesson(loss, share, usual / ours if known else 1.0)


def distance(scores: Tensor, teacher: Tensor, where: Tensor, weights: Tensor | None) -> Tensor:
    """The mean over lists of the mean squared difference to the teacher's scores, less the list's mean.

    Lists of one document do not count: shifting a list changes nothing.
    """
    count = where.sum(-1)
    apart = torch.where(where, scores - teacher, 0.0)
    centred = torch.where(where, apart - apart.sum(-1, keepdim=True) / count.clamp(min=1)[:, None], 0.0)
    values = (centred**2).sum(-1) / count.clamp(min=1)
    if weights is not None:
        values = values * weights
    return reduced(values, count > 1, weights, "mean")


def _value(loss: Any, scores: Tensor, where: Tensor, lists: Mapping[str, Tensor]) -> Tensor:
    own = {name: tensor for name, tensor in lists.items() if name not in ("labels", "weights", "teacher")}
    value: Tensor = loss(scores, lists["labels"], where, lists.get("weights"), reduction="mean", **own)
    return value


def _gradient_at_equal(loss: Any, where: Tensor, lists: Mapping[str, Tensor]) -> float:
    equal = torch.zeros(where.shape, device=where.device, requires_grad=True)
    value = _value(loss, equal, where, lists)
    if not value.requires_grad:
        return 0.0
    (gradient,) = torch.autograd.grad(value, equal)
    return float(gradient.abs().sum())
