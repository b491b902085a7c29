"""What a network learns beside the labels: a teacher's scores, by hand, and in the size they are meant."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ranking.losses import LOSSES
from ranking.neural.lesson import Lesson, distance, lesson_for

WHERE = torch.tensor([[True, True, True], [True, True, False], [True, False, False]])


def lists(**more: Any) -> dict[str, torch.Tensor]:
    labels = torch.tensor([[2.0, 0, 1], [0, 1, 0], [1, 0, 0]])
    return {"labels": labels, "teacher": torch.tensor([[1.0, 0, 2], [5, 3, 0], [9, 0, 0]]), **more}


def test_the_distance_is_of_differences_less_the_mean_of_the_list() -> None:
    """First list: 0 − (1, 0, 2) less its mean −1 is (0, 1, −1), 2/3; second ±1, 1; one document is none."""
    scores = torch.zeros(3, 3)
    teacher = lists()["teacher"]
    assert float(distance(scores, teacher, WHERE, None)) == pytest.approx((2 / 3 + 1) / 2)
    weights = torch.tensor([3.0, 1.0, 7.0])
    assert float(distance(scores, teacher, WHERE, weights)) == pytest.approx((3 * 2 / 3 + 1) / 4)
    shifted = teacher + torch.tensor([[10.0], [-4.0], [1.0]])
    assert float(distance(shifted, teacher, WHERE, None)) == pytest.approx(0, abs=1e-6)


def test_both_parts_are_added_by_the_share() -> None:
    scores = torch.tensor([[0.3, -0.2, 1.0], [0.5, 0.1, 0.0], [0.0, 0.0, 0.0]])
    loss, told = LOSSES["softmax"], lists()
    alone = loss(scores, told["labels"], WHERE, None, reduction="mean")
    apart = distance(scores, told["teacher"], WHERE, None)
    value, seen = Lesson(loss, 0.25)(scores, WHERE, told)
    assert float(value) == pytest.approx(float(0.75 * alone + 0.25 * apart))
    assert float(seen) == pytest.approx(float(apart))  # type: ignore[arg-type]
    without = {name: part for name, part in told.items() if name != "teacher"}
    value, seen = Lesson(loss, 0.25)(scores, WHERE, without)
    assert (float(value), seen) == (pytest.approx(float(alone)), None)


@pytest.mark.parametrize("name", LOSSES)
def test_every_objective_is_brought_to_the_size_of_the_usual_one(name: str) -> None:
    """At equal scores, where training begins, its gradient is as long as softmax's."""
    if LOSSES[name].needs_positions:
        pytest.skip("needs clicks, of which a teacher knows nothing")
    generator = torch.Generator().manual_seed(1)
    where = torch.ones(3, 14, dtype=torch.bool)
    told = {"labels": torch.randint(0, 3, (3, 14), generator=generator).float()}
    some = [(None, where, told)]
    torch.manual_seed(0)
    lesson = lesson_for(LOSSES[name], 0.5, some)
    if name == "softmax":
        assert lesson.factor == 1.0

    def size(loss: Any, factor: float) -> float:
        torch.manual_seed(0)
        equal = torch.zeros(3, 14, requires_grad=True)
        (loss(equal, told["labels"], where, None, reduction="mean") * factor).backward()
        assert equal.grad is not None
        return float(equal.grad.abs().sum())

    assert size(LOSSES[name], lesson.factor) == pytest.approx(size(LOSSES["softmax"], 1.0), rel=1e-4)


def test_a_loss_without_a_gradient_is_left_as_it_is() -> None:
    def flat(scores: torch.Tensor, *_: Any, reduction: str) -> torch.Tensor:
        return (scores * 0).sum()

    assert lesson_for(flat, 0.5, [(None, WHERE, lists())]).factor == 1.0
    assert lesson_for(lambda *_, reduction: torch.tensor(1.0), 0.5, [(None, WHERE, lists())]).factor == 1.0
