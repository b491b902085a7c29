"""Supervised contrastive loss: every item of a label is a positive of every other."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ranking.errors import unknown_name
from ranking.losses.embedding.distances import directions, working
from ranking.losses.embedding.mining import pairs_of

_FLOOR = -1e30


def supcon_loss(
    embeddings: Tensor, labels: Tensor, temperature: float = 0.07, form: Literal["out", "in"] = "out"
) -> Tensor:
    """The mean over anchors i that have a positive, P(i) the others of their label and A(i) all others, of

        out   −1/|P| sum_{p in P} log( exp(z_i·z_p / t) / sum_{a in A} exp(z_i·z_a / t) )
        in    −log( 1/|P| sum_{p in P} exp(z_i·z_p / t) / sum_{a in A} exp(z_i·z_a / t) )

    `in` is at most `out` (Jensen); the paper trains better with `out`. Anchors without a positive are left
    out of the mean, and a batch without any is 0. With one positive each, both are NT-Xent.

    embeddings  [batch, d], labels int [batch]
    temperature 0.07 in the authors' code, 0.1 in the paper's ImageNet runs

    source  Khosla et al. 2020.
    """
    if form not in ("out", "in"):
        raise unknown_name("form", form, ("out", "in"))
    (vectors,) = working(embeddings)
    unit = directions(vectors)
    positive, _ = pairs_of(labels)
    own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    logits = (unit @ unit.T / temperature).masked_fill(own, _FLOOR)
    logs = logits - logits.logsumexp(1, keepdim=True) if len(labels) else logits
    count = positive.sum(1)
    if form == "out":
        values = -torch.where(positive, logs, 0.0).sum(1) / count.clamp(min=1)
    else:
        values = count.clamp(min=1).to(logs).log() - torch.where(positive, logs, _FLOOR).logsumexp(1)
    return torch.where(count > 0, values, 0.0 * logits.sum(1)).sum() / (count > 0).sum().clamp(min=1)
