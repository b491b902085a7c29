"""Classification by angle: ArcFace and CosFace, a margin between classes on the sphere."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ranking.errors import UsageError
from ranking.losses.embedding.distances import directions
from ranking.losses.embedding.precision import full_precision

_EPSILON = 1e-7
"""Least sin² whose root is taken: the root's slope is infinite at 0, where a vector is on its class' axis."""


def arcface_logits(cosine: Tensor, classes: Tensor, margin: float = 0.5, scale: float = 64.0) -> Tensor:
    """scale · cos(theta + margin) for the own class, scale · cos theta for others; [n, classes].

    cos(theta + m) = cos theta cos m − sin theta sin m, without acos, whose slope is infinite at both ends.
    Where theta + m > pi it would rise again: there cos theta − m sin m continues it, falling everywhere
    (with a small step down at theta = pi − m).

    cosine   [n, classes], classes int [n];  margin in radians

    source  Deng et al. 2019 (ArcFace), margin 0.5 and scale 64.
    """
    own = cosine.gather(1, classes[:, None])
    sine = torch.sqrt((1 - own**2).clamp(min=_EPSILON))
    moved = own * math.cos(margin) - sine * math.sin(margin)
    beyond = own - margin * math.sin(margin)
    moved = torch.where(own > math.cos(math.pi - margin), moved, beyond)
    return (scale * cosine).scatter_(1, classes[:, None], scale * moved)


def cosface_logits(cosine: Tensor, classes: Tensor, margin: float = 0.35, scale: float = 64.0) -> Tensor:
    """scale · (cos theta − margin) for the own class, scale · cos theta for others; [n, classes].

    source  Wang et al. 2018 (CosFace), margin 0.35 and scale 64.
    """
    own = classes[:, None]
    return (scale * cosine).scatter_add_(1, own, torch.full_like(own, -scale * margin, dtype=cosine.dtype))


@full_precision
def arcface(
    embeddings: Tensor, prototypes: Tensor, labels: Tensor, scale: float = 64.0, margin: float = 0.5
) -> Tensor:
    """ArcFace: the cross-entropy of `arcface_logits` of the cosines, mean over embeddings [n, d].

    prototypes  [classes, d], or [classes, centres, d], of which the nearest counts (sub-centre ArcFace)
    labels      int [n];  margin in radians

    source  Deng et al. 2019; centres: Deng et al. 2020.
    """
    return _angular(embeddings, prototypes, labels, scale, margin, arcface_logits)


@full_precision
def cosface(
    embeddings: Tensor, prototypes: Tensor, labels: Tensor, scale: float = 64.0, margin: float = 0.35
) -> Tensor:
    """CosFace: the same with `cosface_logits`.

    source  Wang et al. 2018.
    """
    return _angular(embeddings, prototypes, labels, scale, margin, cosface_logits)


@full_precision
def cosines(embeddings: Tensor, prototypes: Tensor) -> Tensor:
    """[n, classes], of [n, d] and [classes, d] or, the nearest of a class' centres, [classes, centres, d]."""
    cosine = directions(embeddings) @ directions(prototypes.to(embeddings)).flatten(0, -2).T
    return (
        cosine if prototypes.ndim == 2 else cosine.reshape(len(cosine), *prototypes.shape[:2]).max(-1).values
    )


def _angular(
    embeddings: Tensor,
    prototypes: Tensor,
    labels: Tensor,
    scale: float,
    margin: float,
    logits: Callable[..., Tensor],
) -> Tensor:
    if not (scale > 0 and 0 <= margin < math.pi / 2):
        raise UsageError(
            f"scale must be above 0 and 0 <= margin < pi / 2 (radians), got {scale} and {margin}"
        )
    found = logits(cosines(embeddings, prototypes), labels, margin, scale)
    return cross_entropy(found, labels) if len(labels) else found.sum()


class AngularClassifier(nn.Module):
    """Learnable prototypes [classes, d], or several a class, under `arcface` or `cosface`."""

    def __init__(
        self,
        classes: int,
        d: int,
        loss: Callable[..., Tensor] = arcface,
        centres: int | None = None,
        **parameters: float,
    ) -> None:
        super().__init__()
        if not (classes > 0 and d > 0 and (centres is None or centres > 0)):
            raise UsageError(f"classes, d and centres must be above 0, got {classes}, {d} and {centres}")
        self.loss, self.parameters_of_loss = loss, parameters
        shape = (classes, d) if centres is None else (classes, centres, d)
        self.prototypes = nn.Parameter(torch.empty(shape))
        nn.init.xavier_normal_(self.prototypes)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean over embeddings."""
        return self.loss(embeddings, self.prototypes, labels, **self.parameters_of_loss)
