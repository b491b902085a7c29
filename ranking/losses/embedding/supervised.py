"""Every item of a label a positive of every other: SupCon, and NT-Xent where the label is the item itself."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ranking.errors import UsageError, unknown_name
from ranking.losses.embedding.distances import directions
from ranking.losses.embedding.mining import pairs_of
from ranking.losses.embedding.precision import full_precision

_FLOOR = -1e30


FORMS = ("out", "in", "alone")


@full_precision
def supcon(
    embeddings: Tensor,
    labels: Tensor,
    temperature: float = 0.1,
    form: Literal["out", "in", "alone"] = "out",
) -> Tensor:
    """The mean over anchors i that have a positive, P(i) the others of their label and A(i) all others, of

        out    −1/|P| sum_{p in P} log( exp(z_i·z_p / t) / sum_{a in A} exp(z_i·z_a / t) )
        in     −log( 1/|P| sum_{p in P} exp(z_i·z_p / t) / sum_{a in A} exp(z_i·z_a / t) )
        alone  as `out`, each positive against the negatives alone: the sum is over p and other labels

    `in` is at most `out` (Jensen); the paper trains better with `out`. In `out` and `in` the positives of an
    anchor push each other away from it; in `alone` they do not. Anchors without a positive are left out of
    the mean, and a batch without any is 0. With one positive each, all three are NT-Xent.

    embeddings  [batch, d], labels int [batch]
    temperature 0.1 in the paper's ImageNet runs, 0.07 in the authors' code

    source  Khosla et al. 2020; `alone` is what pytorch-metric-learning calls NTXentLoss.
    """
    if form not in FORMS:
        raise unknown_name("form", form, FORMS)
    unit = directions(embeddings)
    positive, negative = pairs_of(labels)
    own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    logits = (unit @ unit.T / temperature).masked_fill(own, _FLOOR)
    count = positive.sum(1)
    if not len(labels):
        return logits.sum()
    if form == "in":
        of_positives = (
            torch.where(positive, logits, _FLOOR).logsumexp(1) - count.clamp(min=1).to(logits).log()
        )
        values = logits.logsumexp(1) - of_positives
    else:
        values = torch.where(positive, _against(logits, negative, form), 0.0).sum(1) / count.clamp(min=1)
    return torch.where(count > 0, values, 0.0 * logits.sum(1)).sum() / (count > 0).sum().clamp(min=1)


def _against(logits: Tensor, negative: Tensor, form: str) -> Tensor:
    """[batch, batch]: minus the log of what each item is of the sum that it stands in."""
    if form == "out":
        return logits.logsumexp(1, keepdim=True) - logits
    others = torch.where(negative, logits, _FLOOR).logsumexp(1, keepdim=True)
    return softplus(others - logits)


@full_precision
def nt_xent(first: Tensor, second: Tensor, temperature: float = 0.5) -> Tensor:
    """SimCLR's loss of two views [n, d]: each of the 2 n against its other view, all others its negatives.

        mean over i of −log( exp(z_i·z_j(i) / t) / sum_{a != i} exp(z_i·z_a / t) )

    temperature 0.1 … 0.5 in the paper

    source  Chen et al. 2020 (SimCLR); Sohn 2016.
    """
    if first.shape != second.shape:
        raise UsageError(f"two views must be alike, got {tuple(first.shape)} and {tuple(second.shape)}")
    items = torch.arange(len(first), device=first.device)
    return supcon(torch.cat([first, second]), torch.cat([items, items]), temperature)
