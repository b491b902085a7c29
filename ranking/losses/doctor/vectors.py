"""Checks of a loss on embeddings: loss(embeddings [batch, d], labels int [batch]) -> scalar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ranking.errors import RankwrightError
from ranking.losses.doctor.numbers import differences, is_finite, off, value_and_gradient
from ranking.objectives.doctor import Finding


def gradient_is_derivative(loss: Any) -> Finding:
    """Autograd against central differences at random vectors."""
    vectors, labels = _batch()
    _, gradient = value_and_gradient(lambda e: loss(e, labels), vectors)
    worst = off(gradient, differences(lambda e: loss(e, labels), vectors))
    return Finding(worst < 1e-4, f"worst relative error of finite differences {worst:.0e}")


def order_of_rows_never_matters(loss: Any) -> Finding:
    """Permuting the batch permutes the gradient."""
    vectors, labels = _batch()
    value, gradient = value_and_gradient(lambda e: loss(e, labels), vectors)
    turn = torch.randperm(len(labels), generator=torch.Generator().manual_seed(5))
    other, moved = value_and_gradient(lambda e: loss(e, labels[turn]), vectors[turn])
    worst = max(off(other[None], value[None]), off(moved, gradient[turn]))
    return Finding(worst < 1e-8, f"relative difference {worst:.0e}")


def odd_batches_are_no_error(loss: Any) -> Finding:
    """One item, no two alike, all alike, one vector again and again: finite, connected to the vectors."""
    vectors, labels = _batch()
    same = vectors[:1].expand_as(vectors).clone()
    kinds = {
        "one item": (vectors[:1], labels[:1]),
        "no two alike": (vectors[:3], torch.arange(3)),
        "all alike": (vectors, torch.zeros_like(labels)),
        "identical vectors": (same, labels),
        "repeated vectors": (vectors[[0, 0, 1, 1]], torch.tensor([0, 0, 1, 1])),
        "opposite vectors": (torch.cat([vectors[:2], -vectors[:2]]), torch.tensor([0, 1, 0, 1])),
        "vectors on the axes": (torch.eye(4, dtype=torch.float64), torch.tensor([0, 1, 2, 3])),
    }
    return _all_finite(loss, kinds)


def zero_vectors_are_no_error(loss: Any) -> Finding:
    """A vector of zeros, which has no direction, or nothing else: finite values and gradients."""
    vectors, labels = _batch()
    one = vectors.clone()
    one[0] = 0
    return _all_finite(loss, {"one zero vector": (one, labels), "all zero": (torch.zeros_like(one), labels)})


def any_length_is_no_error(loss: Any) -> Finding:
    """Vectors a ten-thousandth and a hundred times as long, float32: finite."""
    vectors, labels = _batch()
    kinds = {f"length × {scale:g}": ((vectors * scale).float(), labels) for scale in (1e-4, 1e2)}
    return _all_finite(loss, kinds)


def precisions_agree(loss: Any) -> Finding:
    """float32 and bfloat16 give what float64 gives at the same vectors, as near as they can."""
    vectors, labels = _batch()
    vectors = vectors.bfloat16().double()
    value, _ = value_and_gradient(lambda e: loss(e, labels), vectors)
    worst = {}
    for dtype in (torch.float32, torch.bfloat16):
        found, gradient = value_and_gradient(lambda e: loss(e, labels), vectors.to(dtype))
        if not is_finite(found, gradient):
            return Finding(False, f"not finite in {dtype}")
        worst[dtype] = off(found[None], value[None])
    good = worst[torch.float32] < 1e-4 and worst[torch.bfloat16] < 0.1
    return Finding(
        good, f"relative difference, float32 {worst[torch.float32]:.0e}, bfloat16 {worst[torch.bfloat16]:.0e}"
    )


def autocast_changes_nothing(loss: Any) -> Finding:
    """Half-precision vectors, some a hundred times as long, with and without autocast: as in float64."""
    vectors, labels = _batch()
    worst: dict[torch.dtype, float] = {}
    for dtype in (torch.float16, torch.bfloat16):
        for scale in (1.0, 100.0):
            given = (scale * vectors).to(dtype)
            expected, _ = value_and_gradient(lambda e: loss(e, labels), given.double())
            for on in (False, True):
                with torch.autocast("cpu", dtype, enabled=on):
                    found, gradient = value_and_gradient(lambda e: loss(e, labels), given)
                if not is_finite(found, gradient):
                    told = "under autocast" if on else "without autocast"
                    return Finding(False, f"not finite in {dtype}, length × {scale:g}, {told}")
                worst[dtype] = max(worst.get(dtype, 0.0), off(found[None], expected[None]))
    good = all(one < 0.1 for one in worst.values())
    return Finding(good, f"relative difference of the value {max(worst.values()):.0e}")


def not_a_number_is_an_error(loss: Any) -> Finding:
    """One NaN in a batch: an error that says so, or at least a value of NaN; never a plain number."""
    vectors, labels = _batch()
    vectors[1, 2] = torch.nan
    try:
        value = loss(vectors, labels)
    except (RankwrightError, ValueError) as error:
        return Finding(True, f"refused: {error}")
    if bool(value.isnan()):
        return Finding(None, "NaN goes on into the value, without an error")
    return Finding(False, f"a vector with NaN is worth {float(value):g}")


def steps_separate_the_classes(loss: Any) -> Finding:
    """Steps on the vectors themselves bring classes together and apart: the sign is right."""
    vectors, labels = _batch(per_class=6)
    before = _contrast(vectors, labels)
    size = torch.zeros_like(vectors)
    for _ in range(60):
        _, gradient = value_and_gradient(lambda e: loss(e, labels), vectors)
        size = 0.9 * size + 0.1 * gradient**2
        vectors = vectors - 0.05 * gradient / (size.sqrt() + 1e-12)
    after = _contrast(vectors, labels)
    return Finding(
        after > before + 0.01, f"mean cosine within less that between classes, {before:.2f} to {after:.2f}"
    )


CHECKS: dict[str, Callable[[Any], Finding]] = {
    "gradient": gradient_is_derivative,
    "permutation": order_of_rows_never_matters,
    "odd batches": odd_batches_are_no_error,
    "zero vectors": zero_vectors_are_no_error,
    "any length": any_length_is_no_error,
    "precision": precisions_agree,
    "autocast": autocast_changes_nothing,
    "not a number": not_a_number_is_an_error,
    "separates": steps_separate_the_classes,
}


def _all_finite(loss: Any, kinds: dict[str, tuple[Tensor, Tensor]]) -> Finding:
    wrong = []
    for kind, (vectors, labels) in kinds.items():
        value, gradient = value_and_gradient(lambda e, y=labels: loss(e, y), vectors)  # type: ignore[misc]
        if not is_finite(value, gradient):
            wrong.append(kind)
    return Finding(not wrong, f"not finite: {', '.join(wrong)}" if wrong else f"finite: {', '.join(kinds)}")


def _batch(per_class: int = 3) -> tuple[Tensor, Tensor]:
    """Three classes of random vectors, float64 [batch, 4]."""
    labels = torch.arange(3).repeat_interleave(per_class)
    generator = torch.Generator().manual_seed(1)
    return torch.randn(len(labels), 4, generator=generator, dtype=torch.float64), labels


def _contrast(vectors: Tensor, labels: Tensor) -> float:
    unit = torch.nn.functional.normalize(vectors, dim=-1)
    cosine = unit @ unit.T
    alike = labels[:, None] == labels[None, :]
    own = torch.eye(len(labels), dtype=torch.bool)
    return float(cosine[alike & ~own].mean() - cosine[~alike].mean())
