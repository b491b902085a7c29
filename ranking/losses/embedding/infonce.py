"""InfoNCE: each query against its key and negatives, as one softmax; CLIP's and SigLIP's two-sided forms.

    L = mean_i −log( exp(q_i·k_i / t) / sum over the keys j of exp(q_i·k_j / t) )

Rows are reduced one block at a time where the matrix is large, and computed again in the backward pass, so
that memory grows with the block and not with the square of the batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, logsigmoid
from torch.utils.checkpoint import checkpoint

from ranking.errors import UsageError, unknown_name
from ranking.losses.embedding.distances import directions
from ranking.losses.embedding.precision import full_precision

_FLOOR = -1e30
"""What a masked key scores: its softmax is 0, and 0 times its logarithm is not NaN, as it is with −inf."""

BLOCK_BYTES = 1 << 28
"""Logits up to this size are one matrix."""

LogQOn = Literal["negatives", "all"]


@full_precision
def info_nce(
    queries: Tensor,
    keys: Tensor,
    temperature: float | Tensor = 0.07,
    negatives: Tensor | None = None,
    in_batch: bool = True,
    key_ids: Tensor | None = None,
    positives: Tensor | None = None,
    log_q: Tensor | None = None,
    *,
    ignored: Tensor | None = None,
    log_q_on: LogQOn = "negatives",
    normalize: bool = True,
    symmetric: bool = False,
    reduction: Literal["mean", "none"] = "mean",
    block_bytes: int = BLOCK_BYTES,
) -> Tensor:
    """InfoNCE of queries [n, d] and keys [n, d]: the positive of query i is key i.

    The keys of the matrix are those of the batch, then shared negatives; masks, ids and log_q are of all of
    them, or of the batch's alone.

    temperature  0.07 (MoCo, CLIP's first), 0.05 (sentence-transformers' scale 20), 0.1 … 0.5 (SimCLR)
    negatives    [m, d] for all queries (mined, or of a `NegativeQueue`), or [n, k, d], each query's own
    in_batch     are the keys of other queries negatives?
    key_ids      int64 [keys], of what each key is; a key with the id of the query's own is no negative of it.
                 A negative id is none
    positives    bool [n, keys]: several keys belong to a query; the mean of their logarithms, each against
                 all keys (SupCon's outside form). By default key i alone
    log_q        float [keys]: log of the chance that sampling offers a key, subtracted from its logit where
                 it is a negative (a query's own key is not sampled: Khrylchenko et al. 2025), or, with
                 log_q_on="all", from every logit (Yi et al. 2019)
    ignored      bool [n, keys]: further keys that are no negatives of a query
    normalize    take directions: similarities are cosines
    symmetric    half of it from the keys to the queries; with key_ids and positives, but no other negatives
    reduction    "mean" over queries, or "none", [n]
    block_bytes  logits beyond this are reduced some rows at a time, and computed again in the backward pass

    In a batch alone this is `cross_entropy(q kᵀ / t, arange)`.
    Raises UsageError for shapes that do not fit and an unknown choice.

    source  van den Oord, Li, Vinyals 2018; in-batch: Sohn 2016, Chen et al. 2020 (SimCLR).
    """
    _check(queries, keys, negatives, in_batch, positives, symmetric, log_q, reduction, log_q_on)
    if normalize:
        queries, keys = directions(queries), directions(keys)
    shared, own = _negatives(negatives, normalize)
    rows = _Rows(
        keys=keys, shared=shared, in_batch=in_batch, scale=1 / temperature, ids=key_ids, positives=positives,
        ignored=ignored, log_q=None if log_q is None else log_q.to(queries), log_q_on=log_q_on,
    )  # fmt: skip
    values = (
        _one_way(queries, rows, own, block_bytes) if not symmetric else _both_ways(queries, rows, block_bytes)
    )
    if reduction == "none":
        return values
    return values.mean() if len(values) else values.sum()


def _check(
    queries: Tensor,
    keys: Tensor,
    negatives: Tensor | None,
    in_batch: bool,
    positives: Tensor | None,
    symmetric: bool,
    log_q: Tensor | None,
    reduction: str,
    log_q_on: str,
) -> None:
    if queries.shape != keys.shape or queries.ndim != 2:
        raise UsageError(
            f"queries and keys must be [batch, d] alike, got {tuple(queries.shape)} and {tuple(keys.shape)}"
        )
    if negatives is not None and (
        negatives.ndim not in (2, 3)
        or negatives.shape[-1] != keys.shape[1]
        or (negatives.ndim == 3 and len(negatives) != len(keys))
    ):
        raise UsageError(
            f"negatives must be [m, {keys.shape[1]}] or [{len(keys)}, k, {keys.shape[1]}], got "
            f"{tuple(negatives.shape)}"
        )
    if reduction not in ("mean", "none"):
        raise unknown_name("reduction", reduction, ("mean", "none"))
    if log_q_on not in ("negatives", "all"):
        raise unknown_name("log_q_on", log_q_on, ("negatives", "all"))
    if not in_batch and (positives is not None or negatives is None):
        raise UsageError(
            "without in_batch a query has its own key and given negatives: give some, no positives"
        )
    if symmetric and (negatives is not None or log_q is not None or not in_batch):
        raise UsageError("symmetric InfoNCE has the batch's keys alone: leave out negatives and log_q")


def _negatives(given: Tensor | None, normalize: bool) -> tuple[Tensor | None, Tensor | None]:
    """(shared negatives [m, d], each query's own [n, k, d])."""
    if given is None:
        return None, None
    vectors = directions(given) if normalize else given
    return (vectors, None) if vectors.ndim == 2 else (None, vectors)


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """What rows of the matrix are made of; arguments of `info_nce`."""

    keys: Tensor
    shared: Tensor | None
    in_batch: bool
    scale: float | Tensor
    ids: Tensor | None
    positives: Tensor | None
    ignored: Tensor | None
    log_q: Tensor | None
    log_q_on: LogQOn

    @property
    def every(self) -> Tensor:
        """The keys of the matrix: without the batch's, a query's own stands beside it."""
        shared = self.keys[:0] if self.shared is None else self.shared
        return torch.cat([self.keys, shared]) if self.in_batch else shared

    def logits(self, rows: Tensor, queries: Tensor, every: Tensor) -> tuple[Tensor, Tensor | None]:
        """([rows, keys], corrected and masked; bool, which belong to a query, None for its own alone)."""
        width = len(every)
        logits = (queries * self.scale) @ every.T
        positive = None if self.positives is None else self._said(self.positives[rows], width, False)
        if self.log_q is not None:
            correction = self._said(self.log_q[None, :], width, 0.0)
            if self.log_q_on == "negatives":
                correction = torch.where(self._belonging(rows, positive, width), 0.0, correction)
            logits = logits - correction
        out = self._left_out(rows, width)
        if out is not None:
            logits = logits.masked_fill(out & ~self._belonging(rows, positive, width), _FLOOR)
        return logits, positive

    def values(self, rows: Tensor, queries: Tensor, own: Tensor | None, every: Tensor) -> Tensor:
        """[rows]: the value of these queries."""
        logits, positive = self.logits(rows, queries, every)
        if self.in_batch and own is None:
            return _against_all(logits, positive, rows)
        queries = queries * self.scale
        if self.in_batch:
            belongs = _mean_of(logits, positive, rows)
        else:
            belongs = (queries * self.keys[rows]).sum(-1)
            if self.log_q is not None and self.log_q_on == "all":
                belongs = belongs - self.log_q[rows]
            logits = torch.cat([belongs[:, None], logits], 1)
        if own is not None:
            logits = torch.cat([logits, (queries[:, None, :] * own).sum(-1)], 1)
        return _where_any(logits.logsumexp(1) - belongs, positive)

    @property
    def _first(self) -> int:
        """The number of the matrix' first key, counted from the batch's first."""
        return 0 if self.in_batch else len(self.keys)

    def _said(self, given: Tensor, width: int, filler: float) -> Tensor:
        """[…, width]: what is said of the matrix' keys; of those beyond the batch's alone, `filler`."""
        missing = self._first + width - given.shape[-1]
        wide = given if missing <= 0 else torch.nn.functional.pad(given, (0, missing), value=filler)
        return wide[..., self._first :]

    def _belonging(self, rows: Tensor, positive: Tensor | None, width: int) -> Tensor:
        if positive is not None:
            return positive
        return torch.arange(self._first, self._first + width, device=rows.device) == rows[:, None]

    def _left_out(self, rows: Tensor, width: int) -> Tensor | None:
        """bool [rows, keys]: keys that are no negatives of a query; None for none."""
        out = None
        if self.ids is not None:
            mine = self.ids[rows][:, None]
            out = (self._said(self.ids[None, :], width, -1) == mine) & (mine >= 0)
        if self.ignored is not None:
            ignored = self._said(self.ignored[rows], width, False)
            out = ignored if out is None else out | ignored
        return out


def _against_all(logits: Tensor, positive: Tensor | None, rows: Tensor) -> Tensor:
    """[rows]: the cross-entropy of what belongs to each, among all."""
    if positive is None:
        return cross_entropy(logits, rows, reduction="none")
    return _where_any(logits.logsumexp(1) - _mean_of(logits, positive, rows), positive)


def _mean_of(logits: Tensor, positive: Tensor | None, rows: Tensor) -> Tensor:
    if positive is None:
        return logits.gather(1, rows[:, None])[:, 0]
    return torch.where(positive, logits, 0.0).sum(1) / positive.sum(1).clamp(min=1)


def _where_any(values: Tensor, positive: Tensor | None) -> Tensor:
    """A query without a key that belongs to it has nothing to learn."""
    return values if positive is None else torch.where(positive.any(1), values, 0.0 * values)


def _both_ways(queries: Tensor, rows: _Rows, block_bytes: int) -> Tensor:
    """[n]: half from queries to keys, half back; of one matrix where it fits."""
    size = len(queries)
    if size * size * queries.element_size() <= block_bytes:
        numbers = torch.arange(size, device=queries.device)
        logits, positive = rows.logits(numbers, queries, rows.every)
        back = None if positive is None else positive.T
        return (_against_all(logits, positive, numbers) + _against_all(logits.T, back, numbers)) / 2
    turned = replace(
        rows,
        keys=queries,
        positives=None if rows.positives is None else rows.positives.T,
        ignored=None if rows.ignored is None else rows.ignored.T,
    )
    there = _one_way(queries, rows, None, block_bytes)
    return (there + _one_way(rows.keys, turned, None, block_bytes)) / 2


def _one_way(queries: Tensor, rows: _Rows, own: Tensor | None, block_bytes: int) -> Tensor:
    """[n]: the value of each query, in one block or in several."""
    every, size = rows.every, len(queries)
    numbers = torch.arange(size, device=queries.device)
    step = max(1, block_bytes // max(len(every) * every.element_size(), 1))
    if size <= step:
        return rows.values(numbers, queries, own, every)
    parts = [
        checkpoint(
            rows.values, part, queries[part], None if own is None else own[part], every, use_reentrant=False
        )
        for part in torch.split(numbers, step)
    ]
    return torch.cat(parts)


@full_precision
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


@full_precision
def siglip(
    first: Tensor, second: Tensor, scale: float | Tensor = 10.0, bias: float | Tensor = -10.0
) -> Tensor:
    """The mean over rows of −sum_j log sigmoid(z_ij (scale x_i·y_j + bias)), z = ±1, 1 on the diagonal.

    No softmax: each pair is a decision of its own, and the bias starts at the prior of a batch.

    source  Zhai et al. 2023 (SigLIP): scale and bias learnable, first 10 and −10.
    """
    logits = scale * directions(first) @ directions(second).T + bias
    sign = 2 * torch.eye(len(first), dtype=logits.dtype, device=logits.device) - 1
    return -logsigmoid(sign * logits).sum() / max(len(first), 1)
