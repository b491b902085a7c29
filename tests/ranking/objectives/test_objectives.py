"""Every member of the registry: derivative of its loss, invariances, extremes; and the formulas by hand."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranking.errors import DataError, UsageError
from ranking.objectives import (
    Hinge,
    LambdaRank,
    Pairwise,
    RankNet,
    UnbiasedLambdaRank,
    objective_named,
)
from ranking.objectives.pair_weights import WEIGHT_METRICS
from tests.lists import one_list, permuted_within, random_lists
from tests.ranking.objectives.variants import VARIANTS, has_kinks

PAIRED = {name: o for name, o in VARIANTS.items() if isinstance(o, Pairwise)}
LISTED = {name: o for name, o in VARIANTS.items() if o.shift_invariant}
everything = pytest.mark.parametrize("objective", VARIANTS.values(), ids=VARIANTS.keys())


PLACED = {"propensities": [1 / (1 + i) for i in range(40)]}
METRIC_MEMBERS = {
    "lambdarank": objective_named("lambdarank"),
    "unbiased_lambdarank": objective_named("unbiased_lambdarank", PLACED),
}
ORDERLESS: dict[str, Any] = {  # noise belongs to rows
    **{n: o for n, o in VARIANTS.items() if not o.stochastic and not o.needs_positions},
    **{
        f"{name}, {metric}": objective.with_parameters({"metric": metric, "truncation": truncation})
        for name, objective in METRIC_MEMBERS.items()
        for metric, truncation in itertools.product(WEIGHT_METRICS, (2, 10))
    },
}
ORDERLESS = {n: o for n, o in ORDERLESS.items() if getattr(o, "ties", "") != "file"}
paired = pytest.mark.parametrize("objective", PAIRED.values(), ids=PAIRED.keys())
listed = pytest.mark.parametrize("objective", LISTED.values(), ids=LISTED.keys())


@pytest.fixture(scope="module")
def lists() -> Any:
    return random_lists(queries=12, longest=14, seed=3)


@pytest.fixture(scope="module")
def many_lists() -> Any:
    """Enough of them that calls from several threads overlap."""
    return random_lists(queries=150, longest=39, seed=3)


def scores_for(dataset: Any, seed: int = 1, ties: bool = False) -> Any:
    scores = np.random.default_rng(seed).normal(size=dataset.document_count)
    return np.round(scores * 2) / 2 if ties else scores


@everything
@pytest.mark.parametrize("ties", [False, True], ids=["distinct scores", "tied scores"])
def test_gradient_is_the_derivative_of_the_loss(objective: Any, ties: bool, lists: Any) -> None:
    """With pair weights held, central differences of the summed loss give the gradient."""
    # The hinges have kinks where a gap, or a score, equals the margin: halves are moved off them.
    scores = scores_for(lists, ties=ties) + (0.37 * lists.labels if has_kinks(objective) else 0.123)
    gradient, _ = objective.gradients(scores, lists)
    step = 1e-5
    for row in range(0, lists.document_count, 3):
        moved = np.zeros(lists.document_count)
        moved[row] = step
        up, down = (
            objective.loss(scores + moved, lists, scores),
            objective.loss(scores - moved, lists, scores),
        )
        assert gradient[row] == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("name", [n for n, o in VARIANTS.items() if o.hessian == "exact"])
def test_exact_hessians_are_second_derivatives(name: str, lists: Any) -> None:
    """Central differences of the gradient, one coordinate at a time, with the weights held by the loss."""
    objective, scores, step = VARIANTS[name], scores_for(lists), 1e-4
    _, hessian = objective.gradients(scores, lists)
    for row in range(0, lists.document_count, 3):
        moved = np.zeros(lists.document_count)
        moved[row] = step
        up, middle, down = (objective.loss(scores + sign * moved, lists, scores) for sign in (1, 0, -1))
        assert hessian[row] == pytest.approx((up - 2 * middle + down) / step**2, rel=1e-3, abs=1e-5)


@everything
def test_hessians_are_never_negative(objective: Any, lists: Any) -> None:
    """A booster divides by their sums."""
    _, hessian = objective.gradients(scores_for(lists, ties=True), lists)
    assert (hessian >= 0).all()
    assert hessian.any()


@listed
def test_gradients_sum_to_zero_in_every_query(objective: Any, lists: Any) -> None:
    """Each pair pushes its two documents apart with equal force."""
    gradient, _ = objective.gradients(scores_for(lists, ties=True), lists)
    assert np.abs(np.add.reduceat(gradient, lists.offsets[:-1])).max() < 1e-12


@pytest.mark.parametrize("name", ORDERLESS)
@given(
    seed=st.integers(0, 10_000),
    label_gap=st.sampled_from([0.0, 1.5]),
    weights=st.sampled_from(["none", "queries", "documents"]),
    precision=st.sampled_from(["float32", "float64"]),
)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_row_order_never_matters(
    name: str, seed: int, label_gap: float, weights: str, precision: str
) -> None:
    """Permuting a query's documents permutes gradient and hessian, also where scores tie.

    Weights and positions move with their documents.
    """
    objective, dataset, draw = ORDERLESS[name], random_lists(4, 9, seed=seed), np.random.default_rng(seed)
    if isinstance(objective, Pairwise):
        objective = replace(objective, label_gap=label_gap, precision=precision)
    count = {"none": 0, "queries": dataset.query_count, "documents": dataset.document_count}[weights]
    dataset = replace(
        dataset,
        weights=draw.choice([0.5, 1.0, 3.0], count).astype(np.float32) if count else None,
        positions=draw.integers(1, 40, dataset.document_count),
    )
    shuffled, rows = permuted_within(dataset, seed + 1)
    scores = np.zeros(dataset.document_count) if seed % 3 == 0 else scores_for(dataset, seed, ties=True)
    here, there = objective.gradients(scores, dataset), objective.gradients(scores[rows], shuffled)
    loss = objective.loss(scores[rows], shuffled)
    assert loss == pytest.approx(objective.loss(scores, dataset), rel=1e-9, abs=1e-12)
    trained = objective.prepare(shuffled)(scores[rows]), objective.prepare(dataset)(scores)
    near = {"rel": 1e-9, "abs": 1e-12} if trained[0][0].dtype == np.float64 else {"rel": 1e-4, "abs": 1e-5}
    for part in (0, 1):
        assert there[part] == pytest.approx(here[part][rows], rel=1e-9, abs=1e-12)
        assert trained[0][part] == pytest.approx(trained[1][part][rows], **near)


@pytest.mark.parametrize("truncation", [2, 3, 4])
@pytest.mark.parametrize("metric", WEIGHT_METRICS)
def test_tied_clicks_keep_their_propensities(metric: str, truncation: int) -> None:
    """Two clicks of equal score, shown at places of propensity 1 and 0.4: their gradients are 1 : 2.5.

    Each is the better one in all its pairs, and stands at each place equally often.
    """
    labels, theta = [1.0, 0.0, 1.0, 0.0, 0.0], [1, 0.6, 0.4, 0.3, 0.2]
    dataset = one_list(labels, positions=np.arange(1, 6))
    objective = objective_named(
        "unbiased_lambdarank", {"metric": metric, "propensities": theta, "truncation": truncation}
    )
    gradient, hessian = objective.gradients(np.zeros(5), dataset)
    assert gradient[2] == pytest.approx(2.5 * gradient[0], rel=1e-12)
    assert hessian[2] == pytest.approx(2.5 * hessian[0], rel=1e-12)
    assert gradient[0] < 0
    # those not clicked are alike, whatever their places: only the better one's propensity counts
    assert gradient[[1, 3, 4]] == pytest.approx(-(gradient[0] + gradient[2]) / 3, rel=1e-12)


def test_tied_clicks_by_hand() -> None:
    """Average precision, worse first: three documents without a click, then the two clicked.

    Swapping ranks i and j changes it by (1 / i − D_j) / 2 with D = 1/4, 2/5 − 1/4; in the mean over both by
    (11/18 − 1/5) / 2 = 37/180. Each clicked one has three such pairs, which pull with 1/2.
    """
    objective = UnbiasedLambdaRank(
        metric="map", propensities=[1, 0.6, 0.4, 0.3, 0.2], score_normalization=False,
        lambda_normalization=False,
    )  # fmt: skip
    dataset = one_list([1.0, 0.0, 1.0, 0.0, 0.0], positions=np.arange(1, 6))
    gradient, hessian = objective.gradients(np.zeros(5), dataset)
    force = 3 * 37 / 180 / 2
    assert gradient == pytest.approx([-force, 3.5 * force / 3, -2.5 * force, *[3.5 * force / 3] * 2])
    assert hessian == pytest.approx([force / 2, 3.5 * force / 6, 2.5 * force / 2, *[3.5 * force / 6] * 2])


@listed
def test_only_score_differences_matter(objective: Any, lists: Any) -> None:
    """Adding a constant to a query's scores changes nothing (a power of two, so that sums stay exact)."""
    scores = np.round(scores_for(lists) * 1024) / 1024
    shift = np.repeat(np.arange(lists.query_count) * 4.0, lists.sizes)
    for moved, still in zip(
        objective.gradients(scores + shift, lists), objective.gradients(scores, lists), strict=True
    ):
        assert moved == pytest.approx(still, rel=1e-12, abs=1e-15)


NOTHING_TO_LEARN = pytest.mark.parametrize(
    "labels", [[2.0], [1.0, 1.0, 1.0], [0.0, 0.0]], ids=["one document", "equal", "none relevant"]
)


@NOTHING_TO_LEARN
@pytest.mark.parametrize("name", [n for n, o in PAIRED.items() if not o.parameters().get("ties_as_half")])
def test_lists_without_pairs_have_zero_gradient(name: str, labels: list[float]) -> None:
    dataset = one_list(labels)
    gradient, hessian = PAIRED[name].gradients(np.arange(len(labels), dtype=float), dataset)
    assert not gradient.any()
    assert not hessian.any()
    assert PAIRED[name].loss(np.zeros(len(labels)), dataset) == 0.0


@NOTHING_TO_LEARN
@everything
def test_lists_with_nothing_to_learn_stay_finite(objective: Any, labels: list[float]) -> None:
    """And where only order is learned, one document alone has nothing to be ordered with."""
    gradient, hessian = objective.gradients(np.arange(len(labels), dtype=float), one_list(labels))
    assert np.isfinite(gradient).all()
    assert (hessian >= 0).all()
    if objective.shift_invariant and len(labels) == 1:
        assert not gradient.any()


@everything
@pytest.mark.parametrize("size", [1e30, 1e300])
def test_huge_scores_stay_finite(objective: Any, size: float) -> None:
    """The factored exponentials would underflow here; the rows fall back to one exp a pair."""
    dataset = one_list([0.0, 3.0, 1.0, 0.0, 2.0] + [0.0] * 10)
    scores = np.array([size, -size, 0.0, 1.0, -1.0, *np.arange(10)])
    gradient, hessian = objective.gradients(scores, dataset)
    assert np.isfinite(gradient).all()
    assert np.isfinite(hessian).all()
    assert gradient.any()


@pytest.mark.parametrize("size", [1e14, 1e16, 1e30])
def test_ties_at_huge_scores_keep_the_floor_of_the_normalisation(size: float) -> None:
    """0.01 + |s_i - s_j| is 0.01 for a tie, however large the scores are."""
    objective = RankNet(score_normalization=True)
    gradient, _ = objective.gradients([size, size, 0.0], one_list([1.0, 0.0, 0.0]))
    assert gradient[0] == pytest.approx(-0.5 / 0.01, rel=1e-6)


def test_fallback_and_factored_exponentials_agree() -> None:
    """One far outlier switches a list to the fallback; its pairs add a known pull, the others stay."""
    scores = np.array([0.3, -0.2, 0.8, 0.1])
    gradient, hessian = RankNet().gradients(scores, one_list([0.0, 3.0, 1.0, 2.0]))
    far_gradient, far_hessian = RankNet().gradients(
        np.append(scores, -1e6), one_list([0.0, 3.0, 1.0, 2.0, 4.0])
    )
    # The outlier is the best document, wrongly below all others: each is pushed down by exactly 1.
    assert far_gradient == pytest.approx([*(gradient + 1.0), -4.0], rel=1e-12)
    assert far_hessian == pytest.approx([*hessian, 0.0], rel=1e-12, abs=1e-300)


@everything
def test_threads_give_the_same_numbers(objective: Any, lists: Any) -> None:
    """Each query is computed alike, whichever thread takes it."""
    scores = scores_for(lists)
    one, three = objective.prepare(lists, 1)(scores), objective.prepare(lists, 3)(scores)
    assert (one[0] == three[0]).all()
    assert (one[1] == three[1]).all()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", [n for n, o in VARIANTS.items() if not o.stochastic])
def test_four_callers_at_once_get_what_one_gets(name: str, threads: int, many_lists: Any) -> None:
    """To the bit; an order shared between calls would be torn."""
    rounds = [scores_for(many_lists, seed) for seed in range(16)]
    expected = [VARIANTS[name].prepare(many_lists)(scores) for scores in rounds]
    run = VARIANTS[name].prepare(many_lists, threads)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(run, rounds))
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours[0] == theirs[0]).all()
        assert (ours[1] == theirs[1]).all()
    ours[1][:] = 7.0
    assert (run(rounds[-1])[1] == theirs[1]).all()


@pytest.mark.parametrize("name", ["xendcg", "gumbel:lambdarank", "gumbel:xendcg"])
def test_four_callers_at_once_draw_each_round_once(name: str, many_lists: Any) -> None:
    """At the same scores, 16 calls give the gradients of 16 rounds, whoever gets which."""
    objective = objective_named(name)
    scores, serial, shared = scores_for(many_lists), *(objective.prepare(many_lists) for _ in range(2))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(shared, [scores] * 16))
    expected = [serial(scores) for _ in range(16)]
    assert len({gradient.tobytes() for gradient, _ in expected}) == 16
    assert sorted(g.tobytes() + h.tobytes() for g, h in found) == sorted(
        g.tobytes() + h.tobytes() for g, h in expected
    )


@everything
def test_query_weights_scale_their_query(objective: Any, lists: Any) -> None:
    weights = np.arange(lists.query_count) / 2.0
    weighted = replace(lists, weights=weights)
    scores, each = scores_for(lists), np.repeat(weights, lists.sizes)
    for with_weights, without in zip(
        objective.gradients(scores, weighted), objective.gradients(scores, lists), strict=True
    ):
        assert with_weights == pytest.approx(without * each)


@pytest.mark.parametrize("objective", [Hinge(), RankNet(), LambdaRank()], ids=str)
def test_document_weights_enter_pairs_by_their_geometric_mean(objective: Any, lists: Any) -> None:
    """A constant weight over a query is that query weight; a document of weight 0 takes part in no pair."""
    scores = scores_for(lists)
    constant = replace(lists, weights=np.full(lists.document_count, 2.5))
    assert objective.gradients(scores, constant)[0] == pytest.approx(
        2.5 * objective.gradients(scores, lists)[0]
    )
    mixed = np.random.default_rng(0).uniform(0.5, 2, lists.document_count)
    mixed[::3] = 0.0
    gradient, hessian = objective.gradients(scores, replace(lists, weights=mixed))
    assert not gradient[::3].any()
    assert not hessian[::3].any()
    assert np.abs(np.add.reduceat(gradient, lists.offsets[:-1])).max() < 1e-12


def test_unequal_document_weights_by_hand() -> None:
    """Weights 1 and 4: the pair counts sqrt(1 · 4) times, and its query not otherwise."""
    dataset = one_list([1.0, 0.0], weights=np.array([1.0, 4.0], np.float32))
    gradient, hessian = RankNet().gradients([0.0, 0.0], dataset)
    assert gradient == pytest.approx([-0.5 * 2, 0.5 * 2])
    assert hessian == pytest.approx([0.25 * 2] * 2)


def test_ranknet_by_hand() -> None:
    """Two documents, sigma 2, the better one 0.5 below: p = 1 / (1 + exp(2 · −0.5))."""
    p = 1 / (1 + np.exp(-1.0))
    gradient, hessian = RankNet(sigma=2.0).gradients([0.0, 0.5], one_list([1.0, 0.0]))
    assert gradient == pytest.approx([-2 * p, 2 * p])
    assert hessian == pytest.approx([4 * p * (1 - p)] * 2)
    assert RankNet(sigma=2.0).loss([0.0, 0.5], one_list([1.0, 0.0])) == pytest.approx(np.log(1 + np.e))


def test_hinge_by_hand() -> None:
    """Labels 2, 1, 0 at scores 0, 0.4, −2, margin 1: only the first pair is closer than the margin."""
    gradient, hessian = Hinge().gradients([0.0, 0.4, -2.0], one_list([2.0, 1.0, 0.0]))
    assert gradient.tolist() == [-1.0, 1.0, 0.0]
    assert hessian.tolist() == [1.0, 1.0, 0.0]
    assert Hinge().loss([0.0, 0.4, -2.0], one_list([2.0, 1.0, 0.0])) == pytest.approx(1 - (0.0 - 0.4))


def test_hinge_surrogate_bounds_every_leaf() -> None:
    """|gradient| <= margin · hessian for each document: no leaf exceeds the margin even at lambda 0."""
    dataset = random_lists(queries=20, seed=5)
    for margin in (0.25, 1.0, 4.0):
        gradient, hessian = Hinge(margin=margin).gradients(scores_for(dataset), dataset)
        assert (np.abs(gradient) <= margin * hessian + 1e-12).all()


def test_lambdarank_by_hand() -> None:
    """Three documents, labels 0, 2, 1 ranked as listed, no truncation, no normalisation."""
    plain = LambdaRank(truncation=None, score_normalization=False, lambda_normalization=False)
    scores = np.array([3.0, 2.0, 1.0])
    d = [1.0, 1 / np.log2(3), 0.5]
    ideal = 3 * d[0] + 1 * d[1]
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731 - a formula, not a function
    w01 = 3 * (d[0] - d[1]) / ideal
    w02 = 1 * (d[0] - d[2]) / ideal
    w12 = 2 * (d[1] - d[2]) / ideal
    l01, l02, l12 = w01 * sigmoid(1.0), w02 * sigmoid(2.0), w12 * sigmoid(-1.0)
    gradient, _ = plain.gradients(scores, one_list([0.0, 2.0, 1.0]))
    assert gradient == pytest.approx([l01 + l02, -l01 - l12, l12 - l02])


@pytest.mark.parametrize(
    "objective",
    [
        LambdaRank(truncation=3, score_normalization=False, lambda_normalization=False),
        RankNet(truncation=2),
        Hinge(truncation=4),
    ],
    ids=["lambdarank", "ranknet", "hinge"],
)
def test_tied_scores_weigh_pairs_by_the_mean_over_their_orders(objective: Any) -> None:
    """Brute force: the file-order objective averaged over every order of the rows."""
    dataset = one_list([0.0, 2.0, 1.0, 0.0, 3.0, 1.0])
    scores = np.array([1.0, 0.0, 1.0, 0.0, 0.0, 1.0])
    in_file_order = replace(objective, ties="file")
    total = np.zeros((2, 6))
    orders = list(itertools.permutations(range(6)))
    for order in map(list, orders):
        shuffled = one_list([float(dataset.labels[i]) for i in order])
        total[:, order] += np.array(in_file_order.gradients(scores[order], shuffled))
    gradient, hessian = objective.gradients(scores, dataset)
    assert gradient == pytest.approx(total[0] / len(orders))
    assert hessian == pytest.approx(total[1] / len(orders))


def test_labels_may_be_any_non_negative_float() -> None:
    gradient, _ = LambdaRank(gain="linear").gradients([0.0, 1.0], one_list([250.5, 0.25]))
    assert gradient[0] < 0 < gradient[1]
    with pytest.raises(DataError, match="linear"):
        LambdaRank().gradients([0.0, 1.0], one_list([250.5, 0.25]))


@pytest.mark.parametrize("scores", [[0.0, np.nan], [np.inf, 0.0]])
def test_scores_must_be_finite(scores: list[float]) -> None:
    with pytest.raises(DataError, match=r"query q\) is (nan|inf): scores must be finite"):
        RankNet().gradients(scores, one_list([0.0, 1.0]))


def test_scores_must_be_one_a_document() -> None:
    with pytest.raises(DataError, match=r"scores must be \[2\]"):
        RankNet().gradients([0.0], one_list([0.0, 1.0]))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"truncation": 0}, "truncation must be a whole number from 1"),
        ({"truncation": 2.5}, "truncation must be a whole number from 1"),
        ({"score_normalization": "yes"}, "score_normalization must be true or false"),
        ({"sigma": "steep"}, "sigma must be a positive number"),
        ({"ties": "random"}, "unknown ties 'random'"),
        ({"sigma": -1.0}, "sigma must be a positive number"),
        ({"hessian_scale": 0}, "hessian_scale must be a positive number"),
        ({"gain": "cubic"}, "unknown gain 'cubic'"),
        ({"trunctaion": 5}, "did you mean 'truncation'"),
    ],
)
def test_wrong_parameters_are_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        objective_named("lambdarank", parameters)


def test_unknown_objectives_name_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown objective 'lamdarank'; did you mean 'lambdarank'\?"):
        objective_named("lamdarank")
