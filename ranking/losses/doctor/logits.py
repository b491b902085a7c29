"""Checks of a classifier's loss: loss(logits, targets) -> scalar, targets in [0, 1] of the same shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ranking.losses.doctor.numbers import differences, is_finite, off, value_and_gradient
from ranking.objectives.doctor import Finding

_LOGITS = torch.tensor([-3.0, -1.2, -0.1, 0.4, 1.7, 5.0], dtype=torch.float64)
_TARGETS = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0, 0.0], dtype=torch.float64)
_FAR = (20.0, 40.0, 100.0, 200.0)


def gradient_is_derivative(loss: Any) -> Finding:
    """Autograd against central differences, for both classes."""
    _, gradient = value_and_gradient(lambda z: loss(z, _TARGETS), _LOGITS)
    worst = off(gradient, differences(lambda z: loss(z, _TARGETS), _LOGITS))
    return Finding(worst < 1e-5, f"worst relative error of finite differences {worst:.0e}")


def far_logits_are_no_error(loss: Any) -> Finding:
    """±20 … ±200 of either class, float32: finite values and gradients."""
    logits = torch.tensor([sign * far for far in _FAR for sign in (1, -1)] * 2)
    targets = torch.cat([torch.ones(2 * len(_FAR)), torch.zeros(2 * len(_FAR))])
    value, gradient = value_and_gradient(lambda z: loss(z, targets), logits)
    wrong = [f"{z:g}" for z, g in zip(logits.tolist(), gradient, strict=True) if not is_finite(g)]
    if wrong or not is_finite(value):
        return Finding(False, f"value {value.item():g}, no finite gradient at logits {', '.join(wrong)}")
    return Finding(True, "finite at ±20, ±40, ±100, ±200")


def wrong_answers_are_pushed(loss: Any) -> Finding:
    """A confident wrong answer still has a gradient, towards its target."""
    logits, targets = torch.tensor([-100.0, 100.0]), torch.tensor([1.0, 0.0])
    _, gradient = value_and_gradient(lambda z: loss(z, targets), logits)
    good = bool(gradient[0] < 0) and bool(gradient[1] > 0)
    return Finding(good, f"gradient at logits −100 (positive) and 100 (negative): {gradient.tolist()}")


def nothing_is_no_error(loss: Any) -> Finding:
    """No examples, or no positives: finite."""
    for logits, targets in ((torch.zeros(0), torch.zeros(0)), (torch.zeros(3), torch.zeros(3))):
        value, gradient = value_and_gradient(lambda z, y=targets: loss(z, y), logits)  # type: ignore[misc]
        if not is_finite(value, gradient):
            return Finding(False, f"not finite for {len(targets)} examples without a positive")
    return Finding(True, "finite without examples, and without positives")


def precisions_agree(loss: Any) -> Finding:
    """float32 and bfloat16 give what float64 gives at the same logits, as near as they can."""
    at = _LOGITS.bfloat16().double()
    _, exact = value_and_gradient(lambda z: loss(z, _TARGETS), at)
    worst = []
    for dtype in (torch.float32, torch.bfloat16):
        _, found = value_and_gradient(lambda z, t=dtype: loss(z, _TARGETS.to(t)), at.to(dtype))  # type: ignore[misc]
        worst.append(off(found, exact))
    good = worst[0] < 1e-4 and worst[1] < 0.1
    return Finding(good, f"relative difference, float32 {worst[0]:.0e}, bfloat16 {worst[1]:.0e}")


CHECKS: dict[str, Callable[[Any], Finding]] = {
    "gradient": gradient_is_derivative,
    "far logits": far_logits_are_no_error,
    "wrong answers": wrong_answers_are_pushed,
    "nothing": nothing_is_no_error,
    "precision": precisions_agree,
}
