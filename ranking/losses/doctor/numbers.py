"""Values, derivatives and their differences, of a function of one tensor."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

STEP = 1e-5


def value_and_gradient(function: Callable[[Tensor], Tensor], at: Tensor) -> tuple[Tensor, Tensor]:
    """The scalar function and its autograd gradient at a point; the same random draws at each call.

    Raises RuntimeError where the value is not connected to the point.
    """
    point = at.detach().clone().requires_grad_()
    torch.default_generator.manual_seed(0)
    value = function(point)
    (gradient,) = torch.autograd.grad(value, point)
    return value.detach(), gradient


def differences(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """Central differences, of the shape of `at`."""
    found = torch.zeros_like(at)
    with torch.no_grad():
        for index in range(at.numel()):
            ends = []
            for sign in (1, -1):
                moved = at.detach().clone()
                moved.view(-1)[index] += sign * STEP
                torch.default_generator.manual_seed(0)
                ends.append(function(moved))
            found.view(-1)[index] = (ends[0] - ends[1]) / (2 * STEP)
    return found


def off(found: Tensor, expected: Tensor) -> float:
    """The largest difference, over the largest expected value (at least 1e-6); NaN where either has one."""
    scale = max(float(expected.double().abs().max()), 1e-6) if expected.numel() else 1.0
    return float((found.double() - expected.double()).abs().max()) / scale if found.numel() else 0.0


def is_finite(*tensors: Tensor) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)
