"""Classification by angle: ArcFace and CosFace, a margin between classes on the sphere."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ranking.errors import UsageError
from ranking.losses.embedding.distances import directions, working

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
    sine = torch.sqrt((1 - cosine**2).clamp(min=_EPSILON))
    moved = cosine * math.cos(margin) - sine * math.sin(margin)
    beyond = cosine - margin * math.sin(margin)
    moved = torch.where(cosine > math.cos(math.pi - margin), moved, beyond)
    return scale * torch.where(_own(cosine, classes), moved, cosine)


def cosface_logits(cosine: Tensor, classes: Tensor, margin: float = 0.35, scale: float = 64.0) -> Tensor:
    """scale · (cos theta − margin) for the own class, scale · cos theta for others; [n, classes].

    source  Wang et al. 2018 (CosFace), margin 0.35 and scale 64.
    """
    return scale * torch.where(_own(cosine, classes), cosine - margin, cosine)


class AngularClassifier(nn.Module):
    """The cross-entropy of embeddings [n, width] against learnable class directions, with a margin.

    `logits` is `arcface_logits` or `cosface_logits`; margin 0 is the softmax of scaled cosines.
    """

    def __init__(
        self,
        classes: int,
        width: int,
        margin: float,
        scale: float = 64.0,
        logits: Callable[..., Tensor] = arcface_logits,
    ) -> None:
        super().__init__()
        if not (classes > 0 and width > 0 and scale > 0 and 0 <= margin < math.pi / 2):
            raise UsageError(
                f"classes, width and scale must be above 0 and 0 <= margin < pi / 2 (radians), "
                f"got {classes}, {width}, {scale}, {margin}"
            )
        self.margin, self.scale, self.logits = margin, scale, logits
        self.weight = nn.Parameter(torch.empty(classes, width))
        nn.init.xavier_normal_(self.weight)

    def cosines(self, embeddings: Tensor) -> Tensor:
        """[n, classes]."""
        vectors, weight = working(embeddings, self.weight)
        return directions(vectors) @ directions(weight.to(vectors)).T

    def forward(self, embeddings: Tensor, classes: Tensor) -> Tensor:
        """The mean over embeddings."""
        logits = self.logits(self.cosines(embeddings), classes, self.margin, self.scale)
        return cross_entropy(logits, classes) if len(classes) else logits.sum()


def arcface(classes: int, width: int, margin: float = 0.5, scale: float = 64.0) -> AngularClassifier:
    """ArcFace's classifier."""
    return AngularClassifier(classes, width, margin, scale, arcface_logits)


def cosface(classes: int, width: int, margin: float = 0.35, scale: float = 64.0) -> AngularClassifier:
    """CosFace's classifier."""
    return AngularClassifier(classes, width, margin, scale, cosface_logits)


def _own(cosine: Tensor, classes: Tensor) -> Tensor:
    return torch.arange(cosine.shape[1], device=cosine.device)[None, :] == classes[:, None]
