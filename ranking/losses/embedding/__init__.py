"""Losses on vectors: what embeddings are trained with, from pairs, triplets, batches and classes.

distances    of all pairs of two batches
pairs        pairs, similar or not
mining       which triplets of a batch to learn from
triplets     the triplet loss, of given triplets and of mined ones
infonce      one softmax a query: in-batch, explicit, queued negatives; CLIP, SigLIP
supervised   every item of a label a positive of the others: SupCon, NT-Xent
momentum     MoCo's moving encoder and queue of keys
gradcache    batches larger than memory
information  the bound of mutual information that InfoNCE is
angular      ArcFace and CosFace
audit        what training looks like: spread, collapse, alignment, uniformity, gradient, masks
precision    the arithmetic all of them are computed in

All of them are finite, with finite gradients, for zero and identical vectors, single items and batches
without a positive (exactly 0 there). Half precision, under autocast or not, is computed in float32;
NaN is an error.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import cross_entropy

from ranking.losses.embedding.angular import (
    AngularClassifier,
    arcface,
    arcface_logits,
    cosface,
    cosface_logits,
)
from ranking.losses.embedding.audit import (
    AuditEntry,
    EmbeddingAudit,
    TrainingAudit,
    alignment,
    audit_embeddings,
    effective_rank,
    gradient_norm,
    masked_share,
    spread,
    uniformity,
)
from ranking.losses.embedding.distances import directions
from ranking.losses.embedding.gradcache import cached_step
from ranking.losses.embedding.infonce import LearnableTemperature, clip_loss, info_nce, siglip
from ranking.losses.embedding.information import InformationBound, mutual_information_bound
from ranking.losses.embedding.mining import MINERS, Triplets, mine_triplets
from ranking.losses.embedding.momentum import MomentumEncoder, NegativeQueue
from ranking.losses.embedding.pairs import active_pair_share, contrastive, contrastive_in_batch
from ranking.losses.embedding.precision import full_precision
from ranking.losses.embedding.supervised import nt_xent, supcon
from ranking.losses.embedding.triplets import active_share, triplet, triplet_in_batch

__all__ = [
    "EMBEDDING_LOSSES",
    "MINERS",
    "PAIR_LOSSES",
    "AngularClassifier",
    "AuditEntry",
    "EmbeddingAudit",
    "InformationBound",
    "LearnableTemperature",
    "MomentumEncoder",
    "NegativeQueue",
    "TrainingAudit",
    "Triplets",
    "active_pair_share",
    "active_share",
    "alignment",
    "arcface",
    "arcface_logits",
    "audit_embeddings",
    "cached_step",
    "clip_loss",
    "contrastive",
    "contrastive_in_batch",
    "cosface",
    "cosface_logits",
    "effective_rank",
    "full_precision",
    "gradient_norm",
    "info_nce",
    "masked_share",
    "mine_triplets",
    "mutual_information_bound",
    "nt_xent",
    "siglip",
    "spread",
    "supcon",
    "triplet",
    "triplet_in_batch",
    "uniformity",
]


def _contrastive(embeddings: Tensor, labels: Tensor) -> Tensor:
    """D² / 2 of pairs of one label, max(0, 1 − D)² / 2 of others, over all pairs of the batch."""
    return contrastive_in_batch(embeddings, labels, normalize=True)


def _triplet(how: str) -> Callable[[Tensor, Tensor], Tensor]:
    def loss(embeddings: Tensor, labels: Tensor) -> Tensor:
        return triplet_in_batch(embeddings, labels, how, 0.2, normalize=True)

    loss.__doc__ = f"max(0, D²(a, p) − D²(a, n) + 0.2) over the triplets mined as {how}."
    return loss


def _supcon_out(embeddings: Tensor, labels: Tensor) -> Tensor:
    """SupCon with the mean over positives outside the logarithm."""
    return supcon(embeddings, labels)


def _supcon_in(embeddings: Tensor, labels: Tensor) -> Tensor:
    """SupCon with the mean over positives inside the logarithm, at the temperature of the authors' code."""
    return supcon(embeddings, labels, 0.07, form="in")


def _supcon_alone(embeddings: Tensor, labels: Tensor) -> Tensor:
    """SupCon with each positive against the negatives alone."""
    return supcon(embeddings, labels, form="alone")


def _on_axes(logits: Callable[..., Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    def loss(embeddings: Tensor, labels: Tensor) -> Tensor:
        # Class directions that no batch changes: label c's is the axis c.
        return cross_entropy(logits(directions(embeddings), labels, scale=8.0), labels)

    loss.__doc__ = f"{logits.__name__} on the axes of the space as class directions, scale 8."
    return full_precision(loss)


EMBEDDING_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "contrastive": _contrastive,
    "triplet_all": _triplet("all"),
    "triplet_hard": _triplet("hard"),
    "triplet_semi_hard": _triplet("semi_hard"),
    "triplet_semi_hard_nearest": _triplet("semi_hard_nearest"),
    "triplet_batch_hard": _triplet("batch_hard"),
    "supcon_out": _supcon_out,
    "supcon_in": _supcon_in,
    "supcon_alone": _supcon_alone,
    "arcface": _on_axes(arcface_logits),
    "cosface": _on_axes(cosface_logits),
}
"""Of (embeddings [batch, d], labels int [batch]) with usual parameters: what the loss doctor examines."""

PAIR_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "info_nce": info_nce,
    "clip_loss": clip_loss,
    "siglip": siglip,
    "nt_xent": nt_xent,
}
"""Of two batches [n, d] whose rows belong together."""
