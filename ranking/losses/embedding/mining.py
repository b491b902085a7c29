"""Which triplets to learn from: anchors, positives and negatives of a batch, by its distances and labels.

    positive  another item of the anchor's label        negative  an item of another label
    distances [batch, batch], of any kind; a margin is in their unit

No way of mining makes [batch, batch, batch]: all sort or reduce rows of [batch, batch]. The negatives of a
rule that keeps every triplet are a span of a row's, nearest first; so a sum over them needs none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ranking.errors import UsageError, unknown_name
from ranking.losses.embedding.precision import full_precision

_BLOCK = 1 << 19
"""Triplets looked at at once at most."""


class Triplets(NamedTuple):
    """int64 [triplets] each."""

    anchors: Tensor
    positives: Tensor
    negatives: Tensor


@full_precision
def mine_triplets(
    distances: Tensor, labels: Tensor, how: str, margin: float | None = None, seed: int = 0
) -> Triplets:
    """The triplets of a batch by one of `MINERS`, in rising order of anchor and positive.

    all                every anchor with every positive and every negative
    random             one negative, drawn by `seed`, for each anchor and positive
    hard               every one with D(a, n) < D(a, p)
    semi_hard          every one with D(a, p) < D(a, n) < D(a, p) + margin
    semi_hard_nearest  for each anchor and positive the nearest negative beyond it, else the farthest one
    batch_hard         for each anchor that has both, its farthest positive and its nearest negative

    distances [batch, batch], labels int [batch].
    Raises UsageError for an unknown way, shapes that do not fit, and semi_hard without a margin.

    source  Schroff, Kalenichenko, Philbin 2015 (FaceNet, semi-hard); Hermans, Beyer, Leibe 2017 (batch hard).
    """
    if how not in MINERS:
        raise unknown_name("way of mining", how, MINERS)
    if distances.shape != (len(labels), len(labels)):
        raise UsageError(
            f"distances must be [{len(labels)}, {len(labels)}] for these labels, got {tuple(distances.shape)}"
        )
    if how == "semi_hard" and margin is None:
        raise UsageError("semi_hard mines within a margin: give one, in the unit of the distances")
    if not len(labels):
        return Triplets(*(torch.empty(0, dtype=torch.int64, device=labels.device) for _ in range(3)))
    with torch.no_grad():
        return MINERS[how](distances.contiguous(), labels, 0.0 if margin is None else margin, seed)


def pairs_of(labels: Tensor) -> tuple[Tensor, Tensor]:
    """(same label and not itself, other label), bool [batch, batch]."""
    alike = labels[:, None] == labels[None, :]
    own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return alike & ~own, ~alike


@dataclass(frozen=True)
class Spans:
    """Of each anchor and positive, the negatives of a rule: a span of the anchor's, nearest first.

    anchors, positives  int64 [pairs], in rising order
    start, stop         int64 [pairs], the span's ends in the anchor's row
    order               int64 [batch, batch], a row's negatives, nearest first, then all others
    ordered             [batch, batch], their distances; infinite beyond the last negative
    """

    anchors: Tensor
    positives: Tensor
    start: Tensor
    stop: Tensor
    order: Tensor
    ordered: Tensor

    def nearer_than(self, distances: Tensor) -> Tensor:
        """int64 [pairs]: where the negatives end that are nearer than this, [pairs]."""
        return torch.searchsorted(self.ordered[self.anchors], distances[:, None])[:, 0]

    def triplets(self) -> Triplets:
        """All of them, some pairs at a time."""
        sizes = self.stop - self.start
        found = Triplets(*(sizes.new_empty(int(sizes.sum())) for _ in range(3)))
        at = 0
        step = max(1, _BLOCK // max(self.order.shape[1], 1))
        for pairs in torch.split(torch.arange(len(sizes), device=sizes.device), step):
            size = sizes[pairs]
            pair = pairs.repeat_interleave(size)
            first = (size.cumsum(0) - size).repeat_interleave(size)
            place = torch.arange(len(pair), device=size.device) - first
            here = slice(at, at := at + len(pair))
            anchors = self.anchors[pair]
            found.anchors[here], found.positives[here] = anchors, self.positives[pair]
            found.negatives[here] = self.order[anchors, self.start[pair] + place]
        return found


def spans(distances: Tensor, labels: Tensor, how: str, margin: float) -> Spans:
    """The triplets of a rule of `SPANS`, in memory that does not grow with their number."""
    positive, negative = pairs_of(labels)
    ordered, order = _sorted(distances.masked_fill(~negative, torch.inf))
    anchors, positives = torch.nonzero(positive, as_tuple=True)
    start, stop = SPANS[how](ordered, distances, negative.sum(1)[:, None], margin)
    start, stop = (end.expand_as(distances)[anchors, positives] for end in (start, stop))
    return Spans(anchors, positives, start, stop, order, ordered)


def _sorted(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows in rising order, and where each was; equal ones in any order, which no rule of spans minds."""
    if rows.device.type != "cpu":
        return rows.sort(1)
    # NumPy's is several times as fast as torch's where the processor has wide registers.
    order = torch.from_numpy(np.argsort(rows.numpy(), axis=1))
    return rows.gather(1, order), order


def _beyond(ordered: Tensor, distances: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    start = torch.searchsorted(ordered, distances, right=True)
    # With a margin below the last digit no negative is beyond D and within D + margin.
    return start, torch.maximum(start, torch.searchsorted(ordered, distances + margin))


SPANS: dict[str, Callable[[Tensor, Tensor, Tensor, float], tuple[Tensor, Tensor]]] = {
    "all": lambda ordered, distances, count, margin: (torch.zeros_like(count), count),
    "hard": lambda ordered, distances, count, margin: (
        torch.zeros_like(count), torch.searchsorted(ordered, distances)
    ),
    "semi_hard": lambda ordered, distances, count, margin: _beyond(ordered, distances, margin),
}  # fmt: skip
"""The rules that keep every triplet: (start, stop) of spans, by sorted negatives, distances and count."""


def _spanned(how: str) -> Callable[[Tensor, Tensor, float, int], Triplets]:
    return lambda distances, labels, margin, seed: spans(distances, labels, how, margin).triplets()


def _random(distances: Tensor, labels: Tensor, margin: float, seed: int) -> Triplets:
    positive, negative = pairs_of(labels)
    count = negative.sum(1)
    anchors, positives = torch.nonzero(positive & (count > 0)[:, None], as_tuple=True)
    generator = torch.Generator(device=labels.device).manual_seed(seed)
    draw = torch.rand(len(anchors), generator=generator, device=labels.device, dtype=torch.float64)
    # Negatives of a row stand first in this order, in that of the batch.
    order = (~negative).to(torch.int8).argsort(dim=1, stable=True)
    return Triplets(anchors, positives, order[anchors, (draw * count[anchors]).long()])


def _semi_hard_nearest(distances: Tensor, labels: Tensor, margin: float, seed: int) -> Triplets:
    """By one sort a row; the first negative beyond D(a, p) is found by bisection."""
    positive, negative = pairs_of(labels)
    count = negative.sum(1)
    ordered, order = distances.masked_fill(~negative, torch.inf).sort(dim=1, stable=True)
    place = torch.searchsorted(ordered, distances, right=True)
    # Beyond the last negative stands none: then the farthest is taken.
    place = torch.minimum(place, (count - 1).clamp(min=0)[:, None])
    anchors, positives = torch.nonzero(positive & (count > 0)[:, None], as_tuple=True)
    return Triplets(anchors, positives, order.gather(1, place)[anchors, positives])


def _batch_hard(distances: Tensor, labels: Tensor, margin: float, seed: int) -> Triplets:
    positive, negative = pairs_of(labels)
    farthest = distances.masked_fill(~positive, -torch.inf)
    nearest = distances.masked_fill(~negative, torch.inf)
    anchors = torch.nonzero(positive.any(1) & negative.any(1))[:, 0]
    return Triplets(anchors, farthest[anchors].argmax(1), nearest[anchors].argmin(1))


MINERS: dict[str, Callable[[Tensor, Tensor, float, int], Triplets]] = {
    "all": _spanned("all"),
    "random": _random,
    "hard": _spanned("hard"),
    "semi_hard": _spanned("semi_hard"),
    "semi_hard_nearest": _semi_hard_nearest,
    "batch_hard": _batch_hard,
}
"""Each way of mining by its name."""
