"""Pairs, triplets and their miners, against loops over everything."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ranking.errors import UsageError
from ranking.losses.embedding import (
    MINERS,
    active_share,
    contrastive,
    contrastive_in_batch,
    mine_triplets,
    triplet,
    triplet_in_batch,
)
from ranking.losses.embedding.distances import directions, squared_distances

MARGIN = 0.2


def batch(size: int = 13, classes: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(size, 3, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, classes, (size,), generator=generator)
    labels[0] = 99  # alone: an anchor without positives
    return directions(vectors), labels


def triplets_by_loop(d: Tensor, y: Tensor, keep: Callable[[float, float], bool]) -> set[tuple[int, int, int]]:
    every = itertools.product(range(len(y)), repeat=3)
    return {
        (a, p, n)
        for a, p, n in every
        if a != p and y[a] == y[p] != y[n] and keep(float(d[a, p]), float(d[a, n]))
    }


RULES: dict[str, Callable[[float, float], bool]] = {
    "all": lambda near, far: True,
    "hard": lambda near, far: far < near,
    "semi_hard": lambda near, far: near < far < near + MARGIN,
}


def mined(d: Tensor, y: Tensor, how: str, **more: float) -> list[tuple[int, int, int]]:
    return [tuple(t) for t in torch.stack(mine_triplets(d, y, how, **more)).T.tolist()]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("block", [1 << 22, 40], ids=["at once", "in blocks"])
def test_every_triplet_of_a_rule(name: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ranking.losses.embedding.mining._BLOCK", block)
    vectors, labels = batch()
    d = squared_distances(vectors, vectors)
    found = mined(d, labels, name, margin=MARGIN)
    assert set(found) == triplets_by_loop(d, labels, RULES[name])
    assert len(set(found)) == len(found) > 0


def hardest_by_loop(d: Tensor, y: Tensor) -> set[tuple[int, int, int]]:
    found = set()
    for a in range(len(y)):
        positives = [p for p in range(len(y)) if p != a and y[p] == y[a]]
        negatives = [n for n in range(len(y)) if y[n] != y[a]]
        if positives and negatives:
            found.add((a, max(positives, key=lambda p: d[a, p]), min(negatives, key=lambda n: d[a, n])))
    return found


def test_batch_hard_takes_the_hardest_of_each_anchor() -> None:
    vectors, labels = batch()
    d = squared_distances(vectors, vectors)
    expected = hardest_by_loop(d, labels)
    assert set(mined(d, labels, "batch_hard")) == expected
    assert not any(a == 0 for a, _, _ in expected)


def test_semi_hard_nearest_is_the_nearest_beyond_else_the_farthest() -> None:
    """FaceNet's, whatever the margin: both cases are there."""
    vectors, labels = batch(40)
    d = squared_distances(vectors, vectors)
    expected, beyond = {}, 0
    for a in range(len(labels)):
        negatives = [n for n in range(len(labels)) if labels[n] != labels[a]]
        for p in range(len(labels)):
            if p != a and labels[p] == labels[a]:
                farther = [n for n in negatives if d[a, n] > d[a, p]]
                beyond += not farther
                expected[a, p] = (
                    min(farther, key=lambda n: float(d[a, n]))
                    if farther
                    else max(negatives, key=lambda n: float(d[a, n]))
                )
    assert {(a, p): n for a, p, n in mined(d, labels, "semi_hard_nearest")} == expected
    assert 0 < beyond < len(expected)


def test_random_draws_one_negative_a_pair() -> None:
    vectors, labels = batch()
    d = squared_distances(vectors, vectors)
    first = mined(d, labels, "random", seed=1)
    assert first == mined(d, labels, "random", seed=1) != mined(d, labels, "random", seed=2)
    every = triplets_by_loop(d, labels, RULES["all"])
    assert set(first) <= every
    assert [(a, p) for a, p, _ in first] == sorted({(a, p) for a, p, _ in every})
    drawn = {n for seed in range(200) for a, p, n in mined(d, labels, "random", seed=seed)[:1]}
    assert drawn == {n for a, p, n in every if (a, p) == first[0][:2]}


@pytest.mark.parametrize("how", MINERS)
@pytest.mark.parametrize("labels", [[1, 1, 1], [1, 2, 3], []], ids=["one class", "no positive", "no item"])
def test_where_there_is_no_triplet_there_is_none(how: str, labels: list[int]) -> None:
    size = len(labels)
    found = mine_triplets(torch.zeros(size, size), torch.tensor(labels, dtype=torch.int64), how, 0.2)
    assert [len(part) for part in found] == [0, 0, 0]
    assert all(part.dtype == torch.int64 for part in found)


def test_mining_a_large_batch_makes_no_cube() -> None:
    """3,000 items would be 27 billion triplets."""
    vectors, labels = batch(3000, classes=50)
    for how in ("batch_hard", "semi_hard_nearest"):
        assert torch.isfinite(triplet_in_batch(vectors.float(), labels, how, 0.2))


@pytest.mark.parametrize(("squared", "expected"), [(True, 1 - 9 + 0.2 + 10), (False, 1 - 3 + 0.2 + 4)])
def test_triplet_loss_by_hand(squared: bool, expected: float) -> None:
    """Distances 1 and 3: the margin is kept; margin 10 (or 4) more than that is the difference."""
    a, p, n = torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    assert triplet(a, p, n, margin=0.2, squared=squared).item() == 0
    assert triplet(a, p, n, margin=10.2 if squared else 4.2, squared=squared).item() == pytest.approx(
        expected
    )


def test_the_soft_margin_is_the_logistic_of_the_gap() -> None:
    a, p, n = torch.zeros(1, 1), torch.ones(1, 1), torch.full((1, 1), 2.0)
    assert triplet(a, p, n, soft=True).item() == pytest.approx(
        torch.nn.functional.softplus(torch.tensor(-3.0)).item()
    )


def test_the_mean_may_be_of_active_triplets_alone() -> None:
    vectors, labels = batch()
    d = squared_distances(vectors, vectors)
    a, p, n = mine_triplets(d, labels, "all")
    values = (d[a, p] - d[a, n] + MARGIN).clamp(min=0)
    every = triplet_in_batch(vectors, labels, "all", MARGIN)
    active = triplet_in_batch(vectors, labels, "all", MARGIN, mean="active")
    assert every.item() == pytest.approx(values.mean().item())
    assert active.item() == pytest.approx(values[values > 0].mean().item())
    assert active_share(vectors, labels) == pytest.approx((values > 0).double().mean().item())


def test_contrastive_by_hand() -> None:
    """Distance 0.5: 1/8 where similar, (1 − 0.5)² / 2 = 1/8 where not; distance 2: 2 and 0."""
    a, b = torch.zeros(4, 1), torch.tensor([[0.5], [0.5], [2.0], [2.0]])
    value = contrastive(a, b, torch.tensor([True, False, True, False]))
    assert value.item() == pytest.approx((0.125 + 0.125 + 2 + 0) / 4)


def test_a_batch_is_all_its_pairs() -> None:
    vectors, labels = batch()
    i, j = zip(*itertools.combinations(range(len(labels)), 2), strict=True)
    expected = contrastive(vectors[list(i)], vectors[list(j)], labels[list(i)] == labels[list(j)])
    assert contrastive_in_batch(vectors, labels).item() == pytest.approx(expected.item())


def test_unknown_names_are_named() -> None:
    vectors, labels = batch()
    with pytest.raises(UsageError, match="did you mean 'semi_hard'"):
        mine_triplets(torch.zeros(13, 13), labels, "semihard")
    with pytest.raises(UsageError, match="give one, in the unit of the distances"):
        mine_triplets(torch.zeros(13, 13), labels, "semi_hard")
    with pytest.raises(UsageError, match=r"distances must be \[13, 13\]"):
        mine_triplets(torch.zeros(3, 3), labels, "all")
    with pytest.raises(UsageError, match="unknown mean 'some'"):
        triplet_in_batch(vectors, labels, mean="some")  # type: ignore[arg-type]
