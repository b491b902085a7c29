"""Checks of a ranking loss: loss(scores, labels, where) on [..., list]."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ranking.losses.doctor.numbers import differences, is_finite, off, value_and_gradient
from ranking.metrics import Metric
from ranking.objectives.doctor import Finding

_TOLERANCE = 1e-5
_SIZES = (2, 3, 5, 8, 1)


def gradient_is_derivative(loss: Any) -> Finding:
    """Autograd against central differences, where scores differ; pair weights held where it can hold them."""
    scores, labels, where = _batch()
    held = {"weights_at": scores} if "weights_at" in _parameters(getattr(loss, "loss", loss)) else {}
    if not held and getattr(loss, "holds_weights", False):
        return Finding(None, "its weights are held constant: does not apply")

    def function(s: Tensor) -> Tensor:
        return _total(loss, s, labels, where, **held)

    _, gradient = value_and_gradient(function, scores)
    worst = off(gradient[where], differences(function, scores)[where])
    return Finding(worst < _TOLERANCE, f"worst relative error of finite differences {worst:.0e}")


def padding_never_counts(loss: Any) -> Finding:
    """NaN and infinities beyond the list change neither value nor gradient, and get none."""
    if _stochastic(loss):
        return Finding(None, "draws belong to places: does not apply")
    scores, labels, where = _batch()
    value, gradient = value_and_gradient(lambda s: _total(loss, s, labels, where), scores)
    worst, reached = 0.0, False
    for filler in (0.0, 1e9, torch.inf, -torch.inf, torch.nan):
        more = torch.full((len(scores), 2), filler, dtype=scores.dtype)
        wide = torch.cat([torch.where(where, scores, filler), more], 1)
        grades = torch.cat([torch.where(where, labels, 9.0), torch.full_like(more, 9.0)], 1)
        mask = torch.cat([where, torch.zeros_like(more, dtype=torch.bool)], 1)
        other, moved = value_and_gradient(lambda s, y=grades, w=mask: _total(loss, s, y, w), wide)  # type: ignore[misc]
        size = scores.shape[1]
        found = [off(other[None], value[None]), off(moved[:, :size][where], gradient[where])]
        worst = max(worst, *(1e9 if number != number else number for number in found))  # NaN is far off
        reached |= bool(moved[~mask].any())
    return Finding(
        worst < 1e-9 and not reached,
        f"relative change {worst:.0e}; padding {'gets a' if reached else 'has no'} gradient",
    )


def order_of_rows_never_matters(loss: Any) -> Finding:
    """Permuting a list permutes the gradient, tied scores included."""
    if _stochastic(loss):
        return Finding(None, "draws belong to places: does not apply")
    worst = 0.0
    for ties in (False, True):
        scores, labels, where = _batch(ties=ties)
        value, gradient = value_and_gradient(lambda s: _total(loss, s, labels, where), scores)  # noqa: B023
        turn = torch.randperm(scores.shape[1], generator=torch.Generator().manual_seed(5))
        other, moved = value_and_gradient(
            lambda s, t=turn: _total(loss, s, labels[:, t], where[:, t]),  # type: ignore[misc] # noqa: B023
            scores[:, turn],
        )
        worst = max(worst, off(other[None], value[None]), off(moved, gradient[:, turn]))
    return Finding(worst < 1e-9, f"tied and distinct scores, relative difference {worst:.0e}")


def constants_never_matter(loss: Any) -> Finding:
    """A constant added to a list's scores changes nothing."""
    if not getattr(loss, "shift_invariant", True):
        return Finding(None, "scores mean something by themselves: does not apply")
    scores, labels, where = _batch()
    scores = torch.round(scores * 1024) / 1024  # so that sums with the shift stay exact, and ties ties
    _, gradient = value_and_gradient(lambda s: _total(loss, s, labels, where), scores)
    _, moved = value_and_gradient(lambda s: _total(loss, s, labels, where), scores + 4.0)
    worst = off(moved[where], gradient[where])
    return Finding(worst < 1e-8, f"relative change {worst:.0e}")


def nothing_to_learn_is_no_error(loss: Any) -> Finding:
    """No document, one document, equal labels, none relevant: finite, and connected to the scores."""
    kinds = {
        "no document": ([[0.3, 0.1]], [[1.0, 0.0]], [[False, False]]),
        "one document": ([[0.3]], [[2.0]], [[True]]),
        "equal labels": ([[0.3, -0.2, 0.3]], [[1.0] * 3], [[True] * 3]),
        "none relevant": ([[0.3, -0.2, 0.3]], [[0.0] * 3], [[True] * 3]),
    }
    wrong = []
    for kind, (scores, labels, where) in kinds.items():
        at = torch.tensor(scores, dtype=torch.float64)
        value, gradient = value_and_gradient(
            lambda s, y=labels, w=where: _total(loss, s, torch.tensor(y), torch.tensor(w)),  # type: ignore[misc]
            at,
        )
        if not is_finite(value, gradient):
            wrong.append(kind)
    return Finding(
        not wrong, f"not finite: {', '.join(wrong)}" if wrong else "finite, and connected to the scores"
    )


def far_scores_have_finite_forces(loss: Any) -> Finding:
    """Scores of ±100 in the worst order, float32: finite; and a force, unless it says that it saturates."""
    labels = torch.tensor([[0.0] * 22 + [2.0, 2.0]])
    scores = torch.tensor([[100.0 - i / 22 for i in range(22)] + [-100.0, -99.0]])
    where = torch.ones_like(labels, dtype=torch.bool)
    value, gradient = value_and_gradient(lambda s: _total(loss, s, labels, where), scores)
    _, other = value_and_gradient(lambda s: _total(loss, s, labels, where), -scores)
    if not is_finite(value, gradient, other):
        return Finding(False, f"value {value.item():g}, gradients {gradient[0, ::7].tolist()}, …")
    size = float(gradient.abs().max())
    if getattr(loss, "saturates", getattr(loss, "family", "") == "smoothed"):
        return Finding(True, f"finite; largest gradient {size:.1e}, as a loss with smooth ranks has it")
    return Finding(size > 1e-6, f"finite; largest gradient on the worst order {size:.1e}")


def grades_of_any_scale_work(loss: Any) -> Finding:
    """Labels a hundredth of the usual, and up to 30 (a gain of 2^30): finite, and a force as with those."""
    scores, labels, where = _batch()
    forces, wrong = {}, []
    for scale in (1.0, 0.01, 10.0):
        value, gradient = value_and_gradient(lambda s, y=scale * labels: _total(loss, s, y, where), scores)  # type: ignore[misc]
        forces[scale] = bool(gradient.any())
        if not is_finite(value, gradient) or forces[scale] != forces[1.0]:
            wrong.append(f"×{scale:g}")
    return Finding(not wrong, f"wrong at {', '.join(wrong)}" if wrong else "labels × 1, 0.01 and 10")


def what_stands_too_low_is_lifted(loss: Any) -> Finding:
    """A relevant document at the end of 60: its gradient is negative, whatever the truncation."""
    size = 60
    scores = torch.linspace(0.3, -0.3, size, dtype=torch.float64)[None]
    labels = torch.zeros(1, size)
    labels[0, -1] = 2.0
    _, gradient = value_and_gradient(
        lambda s: _total(loss, s, labels, torch.ones(1, size, dtype=torch.bool)), scores
    )
    force = -float(gradient[0, -1])
    return Finding(force > 0, f"force on the one relevant document, at rank {size}: {force:.1e}")


def precisions_agree(loss: Any) -> Finding:
    """float32 and bfloat16 give what float64 gives at the same scores, as near as they can."""
    scores, labels, where = _batch()
    scores = scores.bfloat16().double()  # the same numbers for all three
    _, exact = value_and_gradient(lambda s: _total(loss, s, labels, where), scores)
    worst = {}
    for dtype in (torch.float32, torch.bfloat16):
        _, found = value_and_gradient(lambda s: _total(loss, s, labels, where), scores.to(dtype))
        worst[dtype] = off(found[where], exact[where])
    good = worst[torch.float32] < 1e-3 and worst[torch.bfloat16] < 0.2
    return Finding(
        good, f"relative difference, float32 {worst[torch.float32]:.0e}, bfloat16 {worst[torch.bfloat16]:.0e}"
    )


def lists_add_up(loss: Any) -> Finding:
    """A batch is worth the sum of its lists: none knows of another."""
    if _stochastic(loss) or getattr(loss, "family", "") == "pointwise":
        return Finding(None, "draws or class counts are those of the batch: does not apply")
    scores, labels, where = _batch()
    labels[:, 0] = torch.where(where[:, 0], 3.0, labels[:, 0])  # ERR and the like scale by the largest label
    together = _total(loss, scores, labels, where)
    alone = sum(
        _total(loss, scores[i : i + 1], labels[i : i + 1], where[i : i + 1]) for i in range(len(scores))
    )
    worst = off(torch.as_tensor(alone)[None], together[None])
    return Finding(worst < 1e-9, f"relative difference {worst:.0e}")


def steps_improve_the_order(loss: Any) -> Finding:
    """Steps on the scores themselves raise NDCG: the sign is right."""
    generator = torch.Generator().manual_seed(3)
    scores = torch.randn(20, 30, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 5, (20, 30), generator=generator).double()
    where = torch.ones(20, 30, dtype=torch.bool)
    before = _ndcg(scores, labels)
    optimizer_state = torch.zeros_like(scores)
    for _ in range(80):
        _, gradient = value_and_gradient(lambda s: _total(loss, s, labels, where), scores)
        optimizer_state = 0.9 * optimizer_state + 0.1 * gradient**2
        scores = scores - 0.1 * gradient / (optimizer_state.sqrt() + 1e-12)
    after = _ndcg(scores, labels)
    return Finding(after > before + 0.01, f"NDCG@10 of random lists from {before:.3f} to {after:.3f}")


CHECKS: dict[str, Callable[[Any], Finding]] = {
    "gradient": gradient_is_derivative,
    "padding": padding_never_counts,
    "permutation": order_of_rows_never_matters,
    "shift": constants_never_matter,
    "nothing to learn": nothing_to_learn_is_no_error,
    "far scores": far_scores_have_finite_forces,
    "reach": what_stands_too_low_is_lifted,
    "grades": grades_of_any_scale_work,
    "precision": precisions_agree,
    "lists add up": lists_add_up,
    "improves": steps_improve_the_order,
}


def _total(loss: Any, scores: Tensor, labels: Tensor, where: Tensor, **more: Tensor) -> Tensor:
    """The sum over lists, whether the loss reduces or gives one value a list."""
    given = dict(more)
    if getattr(loss, "needs_positions", False):
        given["winners"] = torch.ones_like(scores)
    value: Tensor = loss(scores, labels.to(scores), where, **given)
    return value.sum()


def _batch(ties: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Lists of random grades 0 … 3, float64 [lists, longest], a relevant and an irrelevant one in most."""
    generator = torch.Generator().manual_seed(1)
    shape = (len(_SIZES), max(_SIZES))
    scores = torch.randn(shape, generator=generator, dtype=torch.float64)
    if ties:
        scores = torch.round(scores / 0.74) * 0.37  # no gap of two is a usual margin, where a hinge bends
    labels = torch.randint(0, 4, shape, generator=generator).double()
    labels[:, 0], labels[:, 1] = 3.0, 0.0
    where = torch.arange(shape[1]) < torch.tensor(_SIZES)[:, None]
    return scores, labels, where


def _ndcg(scores: Tensor, labels: Tensor) -> float:
    from ranking.data.dataset import RankingDataset

    queries, size = labels.shape
    lists = RankingDataset(
        features=torch.zeros(queries * size, 1).numpy(), labels=labels.flatten().float().numpy(),
        offsets=torch.arange(0, queries * size + 1, size).numpy(), query_ids=[str(q) for q in range(queries)],
    )  # fmt: skip
    return Metric.parse("ndcg@10").mean(scores.flatten().numpy(), lists)


def _stochastic(loss: Any) -> bool:
    return bool(getattr(loss, "stochastic", False))


def _parameters(loss: Any) -> set[str]:
    return set(inspect.signature(loss).parameters)
