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
    contrastive_loss,
    contrastive_loss_of_batch,
    mined_triplet_loss,
    random_triplets,
    triplet_loss,
)
from ranking.losses.embedding.distances import directions, squared_distances
from ranking.losses.embedding.mining import batch_hard_indices, miner_named, semi_hard_indices

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


@pytest.mark.parametrize("name", RULES)
def test_masks_hold_the_triplets_of_their_rule(name: str) -> None:
    vectors, labels = batch()
    d = squared_distances(vectors, vectors)
    found = {tuple(t) for t in torch.nonzero(MINERS[name](d, labels)).tolist()}
    assert found == triplets_by_loop(d, labels, RULES[name])
    assert found


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
    assert {tuple(t) for t in torch.nonzero(MINERS["batch_hard"](d, labels)).tolist()} == expected
    assert set(zip(*(part.tolist() for part in batch_hard_indices(d, labels)), strict=True)) == expected
    assert not any(a == 0 for a, _, _ in expected)


def test_semi_hard_indices_are_the_nearest_in_the_band() -> None:
    vectors, labels = batch(40)
    d = squared_distances(vectors, vectors)
    expected: dict[tuple[int, int], int] = {}
    for a, p, n in sorted(triplets_by_loop(d, labels, RULES["semi_hard"])):
        if (a, p) not in expected or d[a, n] < d[a, expected[a, p]]:
            expected[a, p] = n
    found = zip(*(part.tolist() for part in semi_hard_indices(d, labels, MARGIN)), strict=True)
    assert {(a, p): n for a, p, n in found} == expected
    assert expected


def test_random_draws_one_negative_a_pair() -> None:
    vectors, labels = batch()
    d = squared_distances(vectors, vectors)
    first, second = (random_triplets(d, labels, torch.Generator().manual_seed(s)) for s in (1, 1))
    assert torch.equal(first, second)
    pairs = {(a, p) for a, p, _ in triplets_by_loop(d, labels, RULES["all"])}
    assert {(a, p) for a, p, _ in torch.nonzero(first).tolist()} == pairs
    assert int(first.sum()) == len(pairs)
    assert not torch.equal(first, random_triplets(d, labels, torch.Generator().manual_seed(2)))


def test_mining_a_large_batch_makes_no_cube() -> None:
    """3,000 items would be 27 billion triplets."""
    vectors, labels = batch(3000, classes=50)
    for miner in ("batch_hard", "semi_hard"):
        assert torch.isfinite(mined_triplet_loss(vectors.float(), labels, miner))


@pytest.mark.parametrize(("squared", "expected"), [(True, 1 - 9 + 0.2 + 10), (False, 1 - 3 + 0.2 + 4)])
def test_triplet_loss_by_hand(squared: bool, expected: float) -> None:
    """Distances 1 and 3: the margin is kept; margin 10 (or 4) more than that is the difference."""
    a, p, n = torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    assert triplet_loss(a, p, n, squared=squared).item() == 0
    assert triplet_loss(a, p, n, margin=10.2 if squared else 4.2, squared=squared).item() == pytest.approx(
        expected
    )


def test_the_soft_margin_is_the_logistic_of_the_gap() -> None:
    a, p, n = torch.zeros(1, 1), torch.ones(1, 1), torch.full((1, 1), 2.0)
    assert triplet_loss(a, p, n, soft=True).item() == pytest.approx(
        torch.nn.functional.softplus(torch.tensor(-3.0)).item()
    )


def test_the_mean_may_be_of_active_triplets_alone() -> None:
    vectors, labels = batch()
    d = squared_distances(vectors, vectors)
    a, p, n = torch.nonzero(MINERS["all"](d, labels), as_tuple=True)
    values = (d[a, p] - d[a, n] + MARGIN).clamp(min=0)
    every = mined_triplet_loss(vectors, labels, "all")
    active = mined_triplet_loss(vectors, labels, "all", mean="active")
    assert every.item() == pytest.approx(values.mean().item())
    assert active.item() == pytest.approx(values[values > 0].mean().item())
    assert active_share(vectors, labels) == pytest.approx((values > 0).double().mean().item())


def test_contrastive_by_hand() -> None:
    """Distance 0.5: 1/8 where similar, (1 − 0.5)² / 2 = 1/8 where not; distance 2: 2 and 0."""
    a, b = torch.zeros(4, 1), torch.tensor([[0.5], [0.5], [2.0], [2.0]])
    value = contrastive_loss(a, b, torch.tensor([True, False, True, False]))
    assert value.item() == pytest.approx((0.125 + 0.125 + 2 + 0) / 4)


def test_a_batch_is_all_its_pairs() -> None:
    vectors, labels = batch()
    i, j = zip(*itertools.combinations(range(len(labels)), 2), strict=True)
    expected = contrastive_loss(vectors[list(i)], vectors[list(j)], labels[list(i)] == labels[list(j)])
    assert contrastive_loss_of_batch(vectors, labels).item() == pytest.approx(expected.item())


def test_near_duplicates_keep_their_digits() -> None:
    """|a|² + |b|² − 2 a·b in float32 knows nothing of a distance of 1e-4 between unit vectors."""
    a = directions(torch.randn(700, 64, generator=torch.manual_seed(0)))
    b = a.clone()
    b[:, 0] += 1e-4
    exact = ((a.double() - b.double()) ** 2).sum(-1)
    large = squared_distances(a, b)  # by the product and its repair
    assert a.shape[0] * b.shape[0] * 64 > 1 << 24
    assert large.diagonal().double().numpy() == pytest.approx(exact.numpy(), rel=1e-3)
    full = ((a.double()[:, None] - b.double()[None, :50]) ** 2).sum(-1)
    assert large[:, :50].double().numpy() == pytest.approx(full.numpy(), rel=1e-3, abs=1e-6)


def test_unknown_names_are_named() -> None:
    vectors, labels = batch()
    with pytest.raises(UsageError, match="did you mean 'semi_hard'"):
        miner_named("semihard")
    with pytest.raises(UsageError, match="unknown mean 'some'"):
        mined_triplet_loss(vectors, labels, mean="some")  # type: ignore[arg-type]
