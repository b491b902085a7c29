"""The loss doctor for torch: is a loss what it says? A certificate, for ours and for anybody's.

    examine(loss)   any callable of one of four forms, told by its first two parameters
        loss(scores, labels, where)   [..., list] each: a ranking loss           (lists)
        loss(embeddings, labels)      [batch, d] and [batch]: on vectors         (vectors)
        loss(first, second)           [n, d] each: on pairs of vectors           (pairs)
        loss(logits, targets)         of one shape: a classifier's               (logits)

numbers  values, gradients and their finite differences
lists    checks of ranking losses
vectors  checks of losses on vectors
pairs    checks of losses on pairs of vectors
logits   checks of classifiers' losses

Each check is a function of the loss that gives a Finding; what raises has failed. Random draws are
repeated by seed, so that a stochastic loss is a function while it is examined.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

from ranking.errors import UsageError
from ranking.losses.blend import BlendLoss
from ranking.losses.doctor.lists import CHECKS as LIST_CHECKS
from ranking.losses.doctor.logits import CHECKS as LOGIT_CHECKS
from ranking.losses.doctor.pairs import CHECKS as PAIR_CHECKS
from ranking.losses.doctor.vectors import CHECKS as VECTOR_CHECKS
from ranking.objectives.doctor import BROKEN, Certificate, Finding

__all__ = ["examine", "form_of"]

_CHECKS: dict[str, dict[str, Callable[[Any], Finding]]] = {
    "lists": LIST_CHECKS,
    "vectors": VECTOR_CHECKS,
    "pairs": PAIR_CHECKS,
    "logits": LOGIT_CHECKS,
}
_FIRST = {
    "scores": "lists", "embeddings": "vectors", "first": "pairs", "queries": "pairs", "logits": "logits",
}  # fmt: skip


def form_of(loss: Any) -> str:
    """ "lists", "vectors", "pairs" or "logits". Raises UsageError where the first parameter is of none."""
    first = next(iter(inspect.signature(loss).parameters), "")
    if first not in _FIRST:
        raise UsageError(
            f"a loss takes (scores, labels, where), (embeddings, labels), (first, second) or "
            f"(logits, targets): its first parameter is {first!r}"
        )
    return _FIRST[first]


def examine(loss: Any, name: str, facts: dict[str, Any] | None = None) -> Certificate:
    """All checks of one loss, some seconds of work; `facts` go into the certificate beside them.

    Raises UsageError for a callable of no form it knows.
    """
    checks = _CHECKS[form_of(loss)]
    if isinstance(loss, BlendLoss):
        # A run takes its scales from all its lists before it starts; then lists are independent.
        loss = loss.with_scales((1.0,) * len(loss.parts))
    told = {"formula": (inspect.getdoc(loss) or "").partition("\n")[0], **(facts or {})}
    return Certificate(name, told, {title: _tried(check, loss) for title, check in checks.items()}, None)


def _tried(check: Callable[[Any], Finding], loss: Any) -> Finding:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            return check(loss)
        except (*BROKEN, RuntimeError) as error:
            return Finding(
                False, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            )
