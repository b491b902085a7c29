"""InfoNCE: each query against its key and negatives, as one softmax; CLIP's and SigLIP's two-sided forms.

    L = mean_i −log( exp(q_i·k_i / t) / sum over the keys j of exp(q_i·k_j / t) )

Rows are reduced one block at a time where the matrix is large, and computed again in the backward pass, so
that memory grows with the block and not with the square of the batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid
from torch.utils.checkpoint import checkpoint

from ranking.errors import UsageError, unknown_name
from ranking.losses.embedding.distances import directions, working

_FLOOR = -1e30
"""What a masked key scores: its softmax is 0, and 0 times its logarithm is not NaN, as it is with −inf."""
BLOCK_CELLS = 1 << 22
"""Cells of the similarity matrix above which rows are reduced in blocks of about so many."""

LogQOn = Literal["none", "all", "negatives"]


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """What a query is compared with beside the keys of its batch.

    negatives        [m, d] for all queries, or [batch, m, d] for each
    queue            [k, d], keys of earlier steps (`momentum.NegativeQueue`)
    query_ids        int [batch], of what each query is about, and `key_ids`, `negative_ids`, `queue_ids`
                     of keys: a key with the id of the query's own key is no negative and is left out
    known_positives  bool [batch, keys]: further keys that are no negatives; keys as they stand in the matrix,
                     the batch's, then the queue's and shared negatives'
    log_q            float [keys]: log of the chance that sampling offers a key, subtracted from its logit
                     where `log_q_on` says so: "all", or "negatives" alone, since a query's own key is not
                     sampled (Yi et al. 2019; Khrylchenko et al. 2025)
    """

    negatives: Tensor | None = None
    queue: Tensor | None = None
    query_ids: Tensor | None = None
    key_ids: Tensor | None = None
    negative_ids: Tensor | None = None
    queue_ids: Tensor | None = None
    known_positives: Tensor | None = None
    log_q: Tensor | None = None
    log_q_on: LogQOn = "none"


def info_nce(
    queries: Tensor,
    keys: Tensor,
    temperature: float | Tensor = 0.05,
    *,
    others: Candidates | None = None,
    positives: Tensor | None = None,
    normalize: bool = True,
    symmetric: bool = False,
    reduction: Literal["mean", "none"] = "mean",
) -> Tensor:
    """InfoNCE of queries [batch, d] and keys [batch, d], the i-th of which belong together.

    temperature  0.05 (sentence-transformers' scale 20), 0.07 (MoCo, CLIP's first), 0.1 … 0.5 (SimCLR)
    others       negatives beside the batch's own, masks and corrections
    positives    bool [batch, batch]: several keys belong to a query; the mean of their logarithms, each
                 against all keys (SupCon's outside form). By default the diagonal alone
    normalize    take directions: similarities are cosines
    symmetric    half of it from the keys to the queries; only where there are no `others` but ids
    reduction    "mean" over queries, or "none", [batch]

    Without others and positives this is `cross_entropy(q kᵀ / t, arange)`.
    Raises UsageError for shapes that do not fit and an unknown choice.

    source  van den Oord, Li, Vinyals 2018; in-batch: Sohn 2016, Chen et al. 2020 (SimCLR).
    """
    others = others or Candidates()
    _check(queries, keys, others, symmetric, reduction)
    queries, keys = working(queries, keys)
    if normalize:
        queries, keys = directions(queries), directions(keys)
    values = _one_way(queries, keys, temperature, others, positives, normalize)
    if symmetric:
        turned = Candidates(query_ids=others.key_ids, key_ids=others.query_ids)
        back = None if positives is None else positives.T
        values = (values + _one_way(keys, queries, temperature, turned, back, normalize)) / 2
    return (
        values.mean()
        if reduction == "mean" and len(values)
        else values.sum()
        if reduction == "mean"
        else values
    )


def _check(queries: Tensor, keys: Tensor, others: Candidates, symmetric: bool, reduction: str) -> None:
    if queries.shape != keys.shape or queries.ndim != 2:
        raise UsageError(
            f"queries and keys must be [batch, d] alike, got {tuple(queries.shape)} and {tuple(keys.shape)}"
        )
    if reduction not in ("mean", "none"):
        raise unknown_name("reduction", reduction, ("mean", "none"))
    if others.log_q_on not in ("none", "all", "negatives"):
        raise unknown_name("log_q_on", others.log_q_on, ("none", "all", "negatives"))
    if symmetric and any(
        x is not None for x in (others.negatives, others.queue, others.log_q, others.known_positives)
    ):
        raise UsageError("symmetric InfoNCE has the batch's keys alone: leave out negatives, queue and log_q")


def _one_way(
    queries: Tensor,
    keys: Tensor,
    temperature: float | Tensor,
    others: Candidates,
    positives: Tensor | None,
    normalize: bool,
) -> Tensor:
    """[batch]: the value of each query."""
    more = [t for t in (others.queue, others.negatives if _is_shared(others) else None) if t is not None]
    more = [directions(working(t)[0]) if normalize else working(t)[0] for t in more]
    every = torch.cat([keys, *more]) if more else keys
    own = others.negatives if others.negatives is not None and not _is_shared(others) else None
    if own is not None:
        own = directions(working(own)[0]) if normalize else working(own)[0]
    ids = _ids(others, len(keys))
    correction = None if others.log_q is None or others.log_q_on == "none" else others.log_q.to(queries)
    scale = 1 / temperature

    def block(rows: Tensor, q: Tensor, mine: Tensor | None) -> Tensor:
        logits = (q * scale) @ every.T
        place = torch.arange(len(every), device=q.device)
        if correction is not None:
            kept = place[None, :] == rows[:, None] if others.log_q_on == "negatives" else None
            logits = logits - (
                correction[None, :] if kept is None else torch.where(kept, 0.0, correction[None, :])
            )
        positive = None if positives is None else _widened(positives[rows], len(every))
        if ids is not None or others.known_positives is not None:
            own_key = place[None, :] == rows[:, None] if positive is None else positive
            logits = logits.masked_fill(_left_out(rows, own_key, ids, others), _FLOOR)
        belongs = logits.gather(1, rows[:, None])[:, 0]
        if positive is not None:
            belongs = torch.where(positive, logits, 0.0).sum(1) / positive.sum(1).clamp(min=1)
        if mine is not None:
            logits = torch.cat([logits, (q[:, None, :] * mine).sum(-1) * scale], 1)
        values = logits.logsumexp(1) - belongs
        # A query without a key that belongs to it has nothing to learn.
        return values if positive is None else torch.where(positive.any(1), values, 0.0 * values)

    size = len(queries)
    rows = torch.arange(size, device=queries.device)
    step = max(1, BLOCK_CELLS // max(len(every), 1))
    if size <= step:
        return block(rows, queries, own)
    parts = [
        checkpoint(block, part, queries[part], None if own is None else own[part], use_reentrant=False)
        for part in torch.split(rows, step)
    ]
    return torch.cat(parts)


def _is_shared(others: Candidates) -> bool:
    return others.negatives is not None and others.negatives.ndim == 2


def _ids(others: Candidates, batch: int) -> Tensor | None:
    """int [keys], −1 where a key has no id; None where nothing is known of any."""
    if others.key_ids is None and others.query_ids is None:
        return None
    own = others.key_ids if others.key_ids is not None else others.query_ids
    assert own is not None
    parts = [own]
    for keys, ids in (
        (others.queue, others.queue_ids),
        (others.negatives if _is_shared(others) else None, others.negative_ids),
    ):
        if keys is not None:
            parts.append(own.new_full((len(keys),), -1) if ids is None else ids.to(own))
    return torch.cat(parts)


def _left_out(rows: Tensor, positive: Tensor, ids: Tensor | None, others: Candidates) -> Tensor:
    """bool [rows, keys]: keys that are no negatives of a query, its positives not among them."""
    out = torch.zeros_like(positive)
    if ids is not None:
        wanted = (others.query_ids if others.query_ids is not None else others.key_ids)[rows]  # type: ignore[index]
        out = ids[None, :] == wanted[:, None]
    if others.known_positives is not None:
        out = out | _widened(others.known_positives[rows], positive.shape[1])
    return out & ~positive


def _widened(mask: Tensor, width: int) -> Tensor:
    """The mask with as many False columns behind it as make `width`."""
    missing = width - mask.shape[1]
    return mask if missing <= 0 else torch.nn.functional.pad(mask, (0, missing))


def clip_loss(
    first: Tensor, second: Tensor, temperature: LearnableTemperature | float | Tensor = 0.07
) -> Tensor:
    """Symmetric InfoNCE of two views [batch, d], as CLIP trains images and texts.

    source  Radford et al. 2021 (CLIP): learnable temperature, first 0.07, 1 / t at most 100.
    """
    at = temperature() if isinstance(temperature, LearnableTemperature) else temperature
    return info_nce(first, second, at, symmetric=True)


class LearnableTemperature(nn.Module):
    """A learnable temperature: the parameter is log(1 / t), held at log(1 / lowest) where it is used.

    start   of t: 0.07 in CLIP and MoCo
    lowest  t at least, 0.01 in CLIP, whose 1 / t is at most 100

    Leave it out of weight decay, which would draw t to 1. Raises UsageError where not 0 < lowest <= start.
    """

    def __init__(self, start: float = 0.07, lowest: float = 0.01) -> None:
        super().__init__()
        if not 0 < lowest <= start:
            raise UsageError(f"start must be at least lowest, which is above 0, got {start} and {lowest}")
        self.lowest = lowest
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / start)))

    def forward(self) -> Tensor:
        """t, a scalar."""
        # The gradient passes the bound, so that a scale that is held can come back.
        held = self.log_scale - (self.log_scale + math.log(self.lowest)).clamp(min=0).detach()
        return torch.exp(-held)


def siglip(
    first: Tensor, second: Tensor, scale: float | Tensor = 10.0, bias: float | Tensor = -10.0
) -> Tensor:
    """The mean over rows of −sum_j log sigmoid(z_ij (scale x_i·y_j + bias)), z = ±1, 1 on the diagonal.

    No softmax: each pair is a decision of its own, and the bias starts at the prior of a batch.

    source  Zhai et al. 2023 (SigLIP): scale and bias learnable, first 10 and −10.
    """
    first, second = working(first, second)
    logits = scale * directions(first) @ directions(second).T + bias
    sign = 2 * torch.eye(len(first), dtype=logits.dtype, device=logits.device) - 1
    return -logsigmoid(sign * logits).sum() / max(len(first), 1)
