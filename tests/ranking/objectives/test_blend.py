"""A blend is the weighted sum of its parts, in one walk over the pairs where that can be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ranking.data.dataset import RankingDataset
from ranking.errors import UsageError
from ranking.objectives import OBJECTIVES, Blend, LambdaRank, RankNet, Softmax, objective_named
from tests.lists import one_list, random_lists

DATA = random_lists(queries=9, longest=40, seed=3)


def scores(kind: str, data: RankingDataset = DATA) -> Any:
    drawn = np.random.default_rng(5).normal(size=data.document_count)
    return {"distinct": drawn, "tied": np.round(drawn * 2) / 2, "equal": np.zeros(len(drawn))}[kind]


def test_it_is_the_sum_of_its_parts_by_shares_and_scales() -> None:
    blend = objective_named(
        "blend",
        {"parts": "ranknet,softmax", "shares": [1, 0.5], "scales": [2, 3], "ranknet.truncation": None},
    )
    at = scores("distinct")
    one, other = RankNet(), Softmax()
    for found, first, second in zip(
        (*blend.gradients(at, DATA), blend.loss(at, DATA)),
        (*one.gradients(at, DATA), one.loss(at, DATA)),
        (*other.gradients(at, DATA), other.loss(at, DATA)),
        strict=True,
    ):
        np.testing.assert_allclose(found, 2 * first + 1.5 * second, rtol=1e-12)


def test_scales_bring_each_part_to_the_first_one_s_gradient_at_equal_scores() -> None:
    fitted = Blend().fitted(DATA)
    assert fitted.scales is not None
    sizes = [np.abs(part.gradients(scores("equal"), DATA)[0]).mean() for part in fitted.parts.values()]
    assert fitted.scales[0] == 1
    assert fitted.scales[1] == pytest.approx(sizes[0] / sizes[1], rel=1e-5)
    assert float(f"{fitted.scales[1]:.6g}") == fitted.scales[1]  # what a manifest holds
    assert fitted.fitted(one_list([1, 0])) is fitted  # once


def test_a_scale_by_hand() -> None:
    """Two documents: RankNet's gradient at equal scores is 1/2, that of ΔNDCG (1 - 1/log2 3) / 2, of its sum
    S = 2 |lambda| scaled to log2(1 + S)."""
    weight = 1 - 1 / np.log2(3)
    lambdarank = np.log2(1 + weight) / 2
    fitted = Blend(parts={"ranknet": RankNet(), "lambdarank": LambdaRank(ties="file")}).fitted(
        one_list([1, 0])
    )
    assert fitted.scales == (1.0, pytest.approx(0.5 / lambdarank, rel=1e-5))


def test_a_part_without_a_gradient_is_not_scaled() -> None:
    """Documents of equal labels have nothing for either."""
    assert Blend().fitted(one_list([1, 1, 1])).scales == (1, 1)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("ties", ["average", "file"])
@pytest.mark.parametrize("weights", ["none", "query", "document"])
@pytest.mark.parametrize("reach", ["all pairs", "as the other"])
def test_one_walk_gives_the_sum(precision: str, ties: str, weights: str, reach: str) -> None:
    drawn = np.random.default_rng(1).random(DATA.document_count).astype(np.float32)
    data = {
        "none": DATA,
        "query": replace(DATA, weights=drawn[: DATA.query_count]),
        "document": replace(DATA, weights=drawn),
    }[weights]
    pairs = {"all pairs": None, "as the other": 4}[reach]
    blend = objective_named(
        "blend",
        {"precision": precision, "ties": ties, "lambdarank.truncation": 4, "ranknet.truncation": pairs},
    )
    fitted = blend.fitted(data)
    assert isinstance(fitted, Blend)
    assert fitted.one_walk(data) is not None
    run, threads = blend.prepare(data), blend.prepare(data, 3)
    for kind in ("distinct", "tied", "equal"):
        at = scores(kind)
        for found, again, expected in zip(run(at), threads(at), blend.gradients(at, data), strict=True):
            assert found.dtype == precision
            np.testing.assert_array_equal(found, again)
            tolerance = 1e-12 if precision == "float64" else 2e-6
            assert np.abs(found - expected).max() < tolerance * np.abs(expected).max()


@pytest.mark.parametrize(
    "changes",
    [
        {"parts": "lambdarank,ranknet,xendcg"},
        {"parts": "lambdarank,xendcg"},
        {"parts": "hinge,ranknet"},
        {"lambdarank.score_normalization": True},
        {"lambdarank.metric": "map"},
        {"lambdarank.sigma": 2.0},
        {"lambdarank.hessian_scale": 2.0},
        {"ranknet.truncation": 5},
        {"ranknet.ties_as_half": True},
        {"ranknet.lambda_normalization": True},
        {"label_gap": 1.0},
        {"lambdarank.gain": [0, 0, 1, 3, 7]},  # labels 0 and 1 are worth the same, and are a pair of RankNet
    ],
)
def test_other_blends_are_summed_part_by_part(changes: dict[str, Any]) -> None:
    blend = objective_named("blend", changes | {"precision": "float64"})
    fitted = blend.fitted(DATA)
    assert isinstance(fitted, Blend)
    assert fitted.one_walk(DATA) is None
    for found, expected in zip(
        blend.prepare(DATA)(scores("tied")), blend.gradients(scores("tied"), DATA), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)


def test_the_order_of_the_two_parts_does_not_matter() -> None:
    at = scores("tied")
    one = objective_named("blend", {"scales": [1, 0.25], "precision": "float64"})
    other = objective_named(
        "blend", {"parts": "ranknet,lambdarank", "scales": [0.25, 1], "precision": "float64"}
    )
    for a, b in zip(one.prepare(DATA)(at), other.prepare(DATA)(at), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


# --- Parameters ---------------------------------------------------------------------------------------


def test_its_parameters_make_it_again() -> None:
    changes = {"shares": [1, 2], "scales": [1, 0.5], "lambdarank.truncation": 7, "ranknet": {"sigma": 2.0}}
    blend = objective_named("blend", changes)
    told = blend.parameters()
    assert (told["lambdarank"]["truncation"], told["ranknet"]["sigma"], told["shares"]) == (7, 2.0, [1, 2])
    assert objective_named("blend", told) == blend


def test_a_parameter_without_a_part_is_of_all_that_have_it() -> None:
    told = objective_named("blend", {"truncation": 7, "metric": "dcg"}).parameters()
    assert (told["lambdarank"]["truncation"], told["ranknet"]["truncation"]) == (7, 7)
    assert (told["lambdarank"]["metric"], "metric" in told["ranknet"]) == ("dcg", False)


def test_parts_that_were_there_keep_their_parameters_and_others_are_usual() -> None:
    told = objective_named("blend", {"parts": ["lambdarank", "xendcg"], "shares": [1, 3]}).parameters()
    assert told["parts"] == ["lambdarank", "xendcg"]
    assert told["lambdarank"]["score_normalization"] is False
    assert told["xendcg"] == OBJECTIVES["xendcg"].parameters()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parts": "lambdarank"}, "a blend has two parts or more, got lambdarank"),
        ({"parts": "ranknet,ranknet"}, "each part of a blend stands once, got ranknet 2 times"),
        ({"parts": "ranknet,lamdarank"}, "unknown part of a blend: 'lamdarank'; did you mean 'lambdarank'"),
        ({"parts": "ranknet,blend"}, "unknown part of a blend: 'blend'"),
        ({"parts": "ranknet,margin_mse"}, "some learn from grades, and some from a teacher's scores"),
        ({"shares": [1, 2, 3]}, "shares has 3 numbers for the 2 parts lambdarank, ranknet"),
        ({"shares": [1, -1]}, "shares must be a number of at least 0, got -1"),
        ({"shares": [0, 0]}, "shares are all 0"),
        ({"scales": "much"}, "scales has 1 numbers for the 2 parts"),
        ({"truncatoin": 3}, "unknown parameter of objective blend: 'truncatoin'; did you mean 'truncation'"),
        ({"ranknet.margin": 3}, "unknown parameter of objective ranknet: 'margin'"),
    ],
)
def test_what_cannot_be_blended_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        objective_named("blend", changes)


def test_noise_over_a_blend_is_fitted_without_noise() -> None:
    fitted = objective_named("gumbel:blend").fitted(DATA)
    expected = Blend().fitted(DATA)
    assert fitted.parameters()["scales"] == list(expected.scales or ())
