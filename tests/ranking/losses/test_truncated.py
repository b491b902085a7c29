"""The fast form of pairwise losses is the readable definition: value, gradient, and derivatives of that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ranking.losses import loss_of, truncated
from ranking.objectives import Pairwise, objective_named
from tests.lists import random_lists
from tests.ranking.losses.padding import padded
from tests.ranking.objectives.variants import SHOWN_IN_ORDER, VARIANTS, has_kinks

WEIGHTS: dict[str, dict[str, Any]] = {
    "uniform": {},
    **{metric: {"metric": metric} for metric in ("ndcg", "dcg", "precision")},
    "ndcg, exact": {"metric": "ndcg", "truncation_rule": "exact"},
    "ndcg_loss2": {"weight": "ndcg_loss2"},
    "ndcg_loss2pp, lambdaloss": {"weight": "ndcg_loss2pp", "truncation_rule": "lambdaloss"},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "normalised, gaps": {"score_normalization": True, "lambda_normalization": True, "label_gap": 1.5},
    "clicks": {**SHOWN_IN_ORDER, "lambda_normalization": True},
}
CASES: dict[str, Pairwise] = {
    **{name: one for name, one in VARIANTS.items() if isinstance(one, Pairwise)},
    **{
        f"{pair}, {weight}, {option}, top {top}, {ties}": objective_named(
            pair, {"truncation": top, "ties": ties, **parameters, **OPTIONS[option]}
        )
        for pair in ("ranknet", "hinge", "squared_hinge")
        for weight, parameters in WEIGHTS.items()
        for option in OPTIONS
        for top in (4, None)
        for ties in ("average", "file")
        if (weight, top) != ("precision", None)
    },
}
FAST = {name: objective for name, objective in CASES.items() if truncated.covers(objective)}


def lists_of(objective: Pairwise, tied: bool, seed: int = 0) -> tuple[Any, ...]:
    """(scores, labels, where, winners or None) of lists of 1 to 12 documents, padded."""
    dataset = random_lists(queries=6, longest=12, seed=seed)
    scores = np.random.default_rng(seed).normal(size=dataset.document_count)
    if tied:
        scores = np.round(scores * 1.5) / 1.5 + (0.123 if has_kinks(objective) else 0)
        scores[dataset.offsets[0] : dataset.offsets[1]] = 0.5
        if has_kinks(objective):
            # Off the kinks: no gap of these scores is a margin.
            scores *= 0.97
    winners = objective.clicks.winner_weights(dataset) if objective.clicks else None
    s, y, where = padded(dataset, scores)
    s[~where] = torch.nan
    return s, y, where, None if winners is None else padded(dataset, winners)[0]


def both(objective: Pairwise, s: Any, y: Any, where: Any, **more: Any) -> list[tuple[Any, Any]]:
    """(value, gradient) of the definition and of the fast form."""
    found = []
    for readable in (True, False):
        at = s.detach().clone().requires_grad_()
        value = loss_of(objective)(at, y, where, readable=readable, **more)
        (gradient,) = torch.autograd.grad(value.sum(), at)
        found.append((value.detach(), gradient))
    return found


def assert_same(found: list[tuple[Any, Any]], rel: float) -> None:
    for expected, value in zip(*found, strict=True):
        assert value.dtype == expected.dtype
        assert value.shape == expected.shape
        largest = float(expected.abs().max())
        assert value.double().numpy() == pytest.approx(expected.double().numpy(), rel=rel, abs=rel * largest)


@pytest.mark.parametrize("tied", [False, True], ids=["distinct", "tied"])
@pytest.mark.parametrize("name", CASES)
def test_the_fast_form_is_the_definition(name: str, tied: bool) -> None:
    objective = CASES[name]
    s, y, where, winners = lists_of(objective, tied)
    more = {"winners": winners, "weights": torch.arange(len(s)) / 2, "reduction": "none"}
    assert_same(both(objective, s, y, where, **more), 1e-9)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("name", [name for name in FAST if name in VARIANTS])
def test_in_blocks_of_any_size(name: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    s, y, where, winners = lists_of(FAST[name], tied=True)
    monkeypatch.setitem(truncated._BLOCK, "cpu", rows * s.numel())
    assert_same(both(FAST[name], s, y, where, winners=winners), 1e-9)


@pytest.mark.parametrize("tied", [False, True], ids=["distinct", "tied"])
@pytest.mark.parametrize("name", [name for name in FAST if name in VARIANTS])
def test_float32_and_weights_at_other_scores(name: str, tied: bool) -> None:
    objective = FAST[name]
    s, y, where, winners = lists_of(objective, tied)
    at = lists_of(objective, tied, seed=5)[0].nan_to_num()[:, : s.shape[1]]
    at = torch.nn.functional.pad(at, (0, s.shape[1] - at.shape[1]))
    assert_same(both(objective, s, y, where, winners=winners, weights_at=at), 1e-9)
    exact = both(objective, s.float().double(), y, where, winners=winners)[0]
    value = both(objective, s.float(), y, where, winners=winners)[1]
    assert value[0].dtype == torch.float32
    assert_same([exact, (value[0].double(), value[1].double())], 1e-4)


@pytest.mark.parametrize("reduction", ["sum", "mean", "none"])
@pytest.mark.parametrize("name", ["ranknet", "lambdarank", "ndcg_loss2pp"])
def test_lists_without_pairs_are_zero_and_connected(name: str, reduction: str) -> None:
    s = torch.tensor([[0.5, 0.1, torch.inf], [1.0, 1.0, 1.0], [torch.nan] * 3, [0.3, 0.2, 0.1]])
    where = torch.tensor([[True, False, False], [True] * 3, [False] * 3, [True] * 3])
    y = torch.tensor([[2.0, 9, 9], [1, 1, 1], [9, 9, 9], [0, 0, 1]])
    assert_same(both(FAST[name], s, y, where, reduction=reduction), 1e-5)
    (_, _), (value, gradient) = both(FAST[name], s[:3], y[:3], where[:3], reduction=reduction)
    assert not value.any()
    assert not gradient.any()


@pytest.mark.parametrize("name", ["ranknet", "lambdarank", "ndcg_loss2pp"])
def test_any_number_of_leading_dimensions(name: str) -> None:
    s = torch.randn(2, 3, 5, generator=torch.manual_seed(0))
    y = torch.arange(5.0) % 3
    where = torch.ones(5, dtype=torch.bool)
    whole = y.expand(s.shape), where.expand(s.shape)
    (expected, _), (value, _) = both(FAST[name], s, *whole, reduction="none")
    assert value.shape == (2, 3)
    assert value.numpy() == pytest.approx(expected.numpy(), rel=1e-5)
    flat = loss_of(FAST[name])(s[0, 0], y)
    assert flat.shape == ()
    assert flat.item() == pytest.approx(value[0, 0].item())


@pytest.mark.parametrize("name", ["ranknet", "lambdarank", "squared_hinge", "ndcg_loss2pp"])
def test_the_gradient_has_the_definitions_derivatives(name: str) -> None:
    s, y, where, _ = lists_of(FAST[name], tied=True)
    found = []
    for readable in (True, False):
        at = s.clone().requires_grad_()
        value = loss_of(FAST[name])(at, y, where, readable=readable)
        (gradient,) = torch.autograd.grad(value, at, create_graph=True)
        found.append((value.detach(), torch.autograd.grad((gradient[where] ** 2).sum(), at)[0]))
    assert_same(found, 1e-9)


def test_the_definition_is_not_asked_where_there_is_a_fast_form(monkeypatch: pytest.MonkeyPatch) -> None:
    s, y, where, _ = lists_of(FAST["lambdarank"], tied=True)

    def never(*_: Any) -> None:
        raise AssertionError("the definition was computed")

    monkeypatch.setattr("ranking.losses.pairwise.PairwiseLoss._values", never)
    s.requires_grad_()
    for name in ("ranknet", "lambdarank", "lambdarank_precision", "squared_hinge", "ndcg_loss2"):
        loss_of(FAST[name])(s, y, where).backward()
        with torch.no_grad():
            assert not loss_of(FAST[name])(s, y, where).requires_grad
    with pytest.raises(AssertionError, match="was computed"):
        loss_of(FAST["lambdarank"])(s, y, where, readable=True)


def test_what_has_no_fast_form() -> None:
    slow = {name for name, one in VARIANTS.items() if isinstance(one, Pairwise)} - FAST.keys()
    assert {"lambdarank, map, top 2", "ranknet, ties as half", "lambdarank, err at 4"} <= slow
    assert all("half" in name or any(m in name for m in ("map", "mrr", "err")) for name in slow)


def test_rows_are_those_of_the_truncation_and_its_ties(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work grows with the truncation and the ties that reach over it, not with the list."""
    seen: list[int] = []
    weights = truncated._weights

    def counted(objective: Any, lists: Any, factors: Any, start: int, end: int) -> Any:
        seen.append(end)
        return weights(objective, lists, factors, start, end)

    monkeypatch.setattr(truncated, "_weights", counted)
    s, y = torch.arange(30.0).flip(0)[None], torch.arange(30.0)[None] % 4
    over = s.clone().index_fill_(1, torch.arange(3, 8), 24.5)
    where = torch.tensor([[True] * 30, [True] * 3 + [False] * 27])
    for objective, scores, rows in (
        (objective_named("lambdarank", {"truncation": 5}), s, 5),
        (
            objective_named("lambdarank", {"truncation": 5}),
            over,
            8,
        ),
        (objective_named("lambdarank", {"truncation": 5, "ties": "file"}), s * 0, 5),
        (objective_named("ndcg_loss2pp", {"truncation": 5}), s * 0, 5),
        (objective_named("lambdarank", {"truncation": None}), s, 29),
    ):
        seen.clear()
        loss_of(objective)(scores.expand(2, 30), y.expand(2, 30), where)
        assert max(seen) == rows
