"""Pair weights by ranks, [..., list, list], as readable tensors: what a swap changes of a metric.

`separable` weights know ranks by a discount alone, and take their exact expectation over tied orders (in
`pairwise`). Here are the others: tied documents stand worse first, and documents alike in score, worth and
label share the mean of their weights (`ranking.objectives.kernel`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ranking.metrics import gain
from ranking.objectives import PairWeight, Pairwise


def metric_of(weight: Any) -> str:
    """The metric a weight is the change of; "uniform" where it is of none."""
    return str(getattr(weight, "metric", weight.name))


def knows_no_ranks(weight: PairWeight) -> bool:
    """Does every pair weigh the same, wherever it stands?"""
    return weight.name == "uniform"


def is_separable(weight: PairWeight) -> bool:
    """Are ranks known by a discount alone?"""
    return weight.name in ("uniform", "metric") and metric_of(weight) not in ("map", "mrr", "err")


def worth_of(weight: Any, labels: Tensor, where: Tensor) -> Tensor:
    """[..., list]: gain, relevance or stop probability, or the label itself; 0 at padding."""
    labels, metric = labels.double(), metric_of(weight)
    if metric == "uniform":
        return labels
    if metric in ("map", "mrr", "precision"):
        return (labels > 0).double()
    if metric == "err":
        return (torch.exp2(labels) - 1) / torch.exp2(labels.amax().clamp(min=4))
    gains = torch.from_numpy(gain(labels.cpu().numpy().ravel(), weight.gain)).reshape(labels.shape)
    return torch.where(where, gains.to(labels.device), 0.0)


def inverse_of(weight: PairWeight, worth: Tensor, truncation: int | None) -> Tensor:
    """[...]: one over what divides the metric of a list, 0 where nothing is relevant."""
    total, metric = worth.sum(-1), metric_of(weight)
    if metric in ("uniform", "dcg", "err"):
        return torch.ones_like(total)
    if metric == "map":
        divisor = total
    elif metric in ("mrr", "precision"):
        divisor = torch.full_like(total, truncation or 1 if metric == "precision" else 1)
    else:
        best = worth.sort(-1, descending=True).values[..., :truncation]
        discount = torch.from_numpy(weight.discounts(worth.shape[-1], truncation)).to(worth)
        divisor = (best * discount[: best.shape[-1]]).sum(-1)
    return torch.where(total > 0, 1 / divisor.clamp(min=1e-300), 0.0)


def swap_weights(objective: Pairwise, scores: Tensor, labels: Tensor, worth: Tensor, where: Tensor) -> Tensor:
    """[..., list, list]: the metric's change by a swap of i and j; 0 beyond the truncation."""
    # documents of one worth are alike, whatever their labels, unless pairs are weighted by label gaps
    labels = labels if objective.label_gap else worth
    ranks, order = ranks_of(objective, scores, labels, worth, where)
    weight = by_ranks(objective, worth.gather(-1, order), where.gather(-1, order))
    size = scores.shape[-1]
    weight = weight.gather(-2, ranks[..., :, None].expand(weight.shape))
    weight = weight.gather(-1, ranks[..., None, :].expand(weight.shape))
    reach = size if objective.truncation is None else objective.truncation
    top = ranks < reach
    weight = torch.where(top[..., :, None] | top[..., None, :], weight, 0.0)
    return weight if objective.ties == "file" else shared(weight, scores, labels, worth, where)


def ranks_of(
    objective: Pairwise, scores: Tensor, labels: Tensor, worth: Tensor, where: Tensor
) -> tuple[Tensor, Tensor]:
    """(rank of each document from 0, document at each rank): tied ones worse first, padding last."""
    order = torch.arange(scores.shape[-1], device=scores.device).expand(scores.shape)
    keys = [] if objective.ties == "file" else [labels, worth]
    for key in [*keys, torch.where(where, -scores, torch.inf), (~where).to(scores)]:
        order = order.gather(-1, key.gather(-1, order).argsort(dim=-1, stable=True))
    return order.argsort(-1), order


def shared(weight: Tensor, scores: Tensor, labels: Tensor, worth: Tensor, where: Tensor) -> Tensor:
    """Weights averaged over the documents alike to i, and over those alike to j."""
    alike = where[..., :, None] & where[..., None, :]
    for key in (scores, labels, worth):
        alike = alike & (key[..., :, None] == key[..., None, :])
    mean = alike.to(weight)
    mean = mean / mean.sum(-1, keepdim=True).clamp(min=1)
    return mean @ weight @ mean.transpose(-1, -2)


def by_ranks(objective: Pairwise, worth: Tensor, where: Tensor) -> Tensor:
    """[..., rank, rank]: the change by swapping the documents at two ranks, for documents in ranked order."""
    size = worth.shape[-1]
    rank = torch.arange(1, size + 1, dtype=worth.dtype, device=worth.device)
    cut = objective.weight.rule(objective.truncation).cutoff
    share = torch.where(rank <= (size if cut is None else cut), 1 / rank, 0.0)
    change_of = CHANGES.get(metric_of(objective.weight))
    worth = torch.where(where, worth, 0.0)
    change = _distance(objective, worth) if change_of is None else change_of(worth, share)
    change = change.triu(1)
    return change + change.transpose(-1, -2)


def _distance(objective: Pairwise, worth: Tensor) -> Tensor:
    """|G_i − G_j| (ranked |D_i − D_j| + near step(|i − j|) stretch(max(i, j)))."""
    weight: Any = objective.weight
    size = worth.shape[-1]
    ranked, near = weight.factors()
    steps, stretch = (torch.from_numpy(part).to(worth) for part in weight.steps(size, objective.truncation))
    discount = torch.from_numpy(weight.discounts(size, objective.truncation)).to(worth)
    place = torch.arange(size, device=worth.device)
    apart = (place[:, None] - place[None, :]).abs()
    factor = ranked * (discount[:, None] - discount[None, :]).abs()
    factor = factor + near * steps[apart] * stretch[torch.maximum(place[:, None], place[None, :])]
    change: Tensor = (worth[..., :, None] - worth[..., None, :]).abs() * factor
    return change


def _map(relevant: Tensor, share: Tensor) -> Tensor:
    """Average precision, undivided: upper i relevant, or lower j relevant, counts of relevant ones shift."""
    count = relevant.cumsum(-1)
    area = (relevant * share).cumsum(-1)
    between = (area - relevant * share)[..., None, :] - area[..., :, None]
    lower = (count * share)[..., None, :]
    upper_relevant = (count * share)[..., :, None] - lower + between
    lower_relevant = ((count + 1) * share)[..., :, None] - lower + between
    higher, under = relevant[..., :, None], relevant[..., None, :]
    return higher * (1 - under) * upper_relevant + (1 - higher) * under * lower_relevant


def _mrr(relevant: Tensor, share: Tensor) -> Tensor:
    """Reciprocal rank before and after: the first relevant rank is the least over the swapped list."""
    size = relevant.shape[-1]
    value = relevant * share
    before = value.amax(-1)[..., None, None]
    place = torch.arange(size, device=relevant.device)
    own = (place[None, None, :] == place[:, None, None]) | (place[None, None, :] == place[None, :, None])
    others = torch.where(own, 0.0, value[..., None, None, :]).amax(-1)
    swapped = torch.maximum(relevant[..., None, :] * share[:, None], relevant[..., :, None] * share[None, :])
    change = (torch.maximum(others, swapped) - before).abs()
    return torch.where(relevant[..., :, None] != relevant[..., None, :], change, 0.0)


def _err(stop: Tensor, share: Tensor) -> Tensor:
    """ERR before and after: between the two, the chance to come so far changes by their factors."""
    passed = (1 - stop).cumprod(-1)
    reach = torch.cat([torch.ones_like(passed[..., :1]), passed[..., :-1]], -1)
    gained = (reach * stop * share).cumsum(-1)
    before = gained - reach * stop * share
    between = (before[..., None, :] - gained[..., :, None]) / (1 - stop)[..., :, None]
    at_lower = (reach * share)[..., None, :] / (1 - stop)[..., :, None]
    difference = (stop[..., :, None] - stop[..., None, :]).abs()
    return difference * ((reach * share)[..., :, None] - between - at_lower)


CHANGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"map": _map, "mrr": _mrr, "err": _err}
"""What a swap of two ranks changes of a metric that knows ranks by more than a discount."""
