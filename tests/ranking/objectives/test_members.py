"""What sets members of the registry apart: metric weights, truncations, targets, draws, positions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ranking.data.dataset import RankingDataset
from ranking.errors import DataError, UsageError
from ranking.metrics import Metric
from ranking.objectives import (
    XENDCG,
    ClassBalancedFocal,
    Focal,
    HingePair,
    LambdaRank,
    LogisticLoss,
    MetricWeight,
    NDCGLoss2,
    NDCGLoss2PlusPlus,
    Pairwise,
    QualityFocal,
    RankNet,
    Softmax,
    UnbiasedLambdaRank,
    UniformWeight,
    Varifocal,
    objective_named,
)
from tests.lists import one_list, permuted_within, random_lists

LABELS = [0.0, 2.0, 1.0, 0.0, 4.0, 0.0, 1.0, 3.0]


def plain(**parameters: Any) -> Pairwise:
    """LambdaRank as the papers have it: no truncation, no normalisation."""
    defaults: dict[str, Any] = {
        "truncation": None, "score_normalization": False, "lambda_normalization": False
    }  # fmt: skip
    return LambdaRank(**{**defaults, **parameters})


def sum_over_pairs(scores: Any, labels: Any, weight: Any) -> Any:
    """The gradient of sum over y_i > y_j of weight(i, j) log(1 + exp(s_j − s_i)), the slow plain way."""
    gradient = np.zeros(len(scores))
    for i in range(len(scores)):
        for j in range(len(scores)):
            if labels[i] > labels[j]:
                force = weight(i, j) / (1 + np.exp(scores[i] - scores[j]))
                gradient[i] -= force
                gradient[j] += force
    return gradient


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("ndcg", {"metric": "ndcg"}),
        ("dcg", {"metric": "dcg"}),
        ("map", {"metric": "map"}),
        ("mrr", {"metric": "mrr"}),
        ("err", {"metric": "err"}),
        ("precision@3", {"metric": "precision", "truncation": 3}),
        ("ndcg@3", {"metric": "ndcg", "truncation": 3, "truncation_rule": "exact"}),
        ("dcg@4", {"metric": "dcg", "truncation": 4, "truncation_rule": "exact"}),
        ("map@3", {"metric": "map", "truncation": 3, "truncation_rule": "exact"}),
        ("mrr@2", {"metric": "mrr", "truncation": 2, "truncation_rule": "exact"}),
        ("err@4", {"metric": "err", "truncation": 4, "truncation_rule": "exact"}),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_weights_are_the_change_of_the_metric_by_a_swap(name: str, parameters: Any, seed: int) -> None:
    """Each pair's documents swap places in fact, and `ranking.metrics` says what that changes."""
    scores, dataset = np.random.default_rng(seed).normal(size=len(LABELS)), one_list(LABELS)
    metric = Metric.parse(name)

    def change(i: int, j: int) -> float:
        swapped = scores.copy()
        swapped[[i, j]] = scores[[j, i]]
        return float(abs(metric.mean(swapped, dataset) - metric.mean(scores, dataset)))

    gradient, _ = plain(**parameters).gradients(scores, dataset)
    assert gradient == pytest.approx(sum_over_pairs(scores, LABELS, change), rel=1e-9, abs=1e-12)


def distances(scores: Any, labels: Any) -> tuple[Any, Any, float]:
    """(ranks from 1, gains, ideal DCG) of one list."""
    ranks = np.argsort(np.argsort(-scores)) + 1
    gains = 2.0 ** np.array(labels) - 1
    return ranks, gains, float(np.sort(gains)[::-1] @ (1 / np.log2(np.arange(2, len(labels) + 2))))


@pytest.mark.parametrize(
    ("objective", "mu", "ranked"), [(NDCGLoss2, 1.0, 0.0), (NDCGLoss2PlusPlus, 10.0, 1.0)]
)
def test_lambdaloss_weighs_by_the_distance_of_ranks(objective: Any, mu: float, ranked: float) -> None:
    """|G_i − G_j| (mu |D(|r_i − r_j|) − D(|r_i − r_j| + 1)| + |D_i − D_j|) / maxDCG, pair by pair."""
    scores = np.random.default_rng(4).normal(size=len(LABELS))
    ranks, gains, ideal = distances(scores, LABELS)

    def weight(i: int, j: int) -> float:
        apart = abs(ranks[i] - ranks[j])
        near = 1 / np.log2(1 + apart) - 1 / np.log2(2 + apart)
        difference = abs(1 / np.log2(1 + ranks[i]) - 1 / np.log2(1 + ranks[j]))
        return float((gains[i] - gains[j]) * (mu * near + ranked * difference) / ideal)

    bare = objective(truncation=None, score_normalization=False, lambda_normalization=False)
    gradient, _ = bare.gradients(scores, one_list(LABELS))
    assert gradient == pytest.approx(sum_over_pairs(scores, LABELS, weight))


def test_the_sound_truncation_stretches_pairs_that_reach_beyond_it() -> None:
    """At k = 2, the pair of ranks 1 and 3 weighs 1 / (1 − D(3)) times what it does untruncated."""
    dataset, scores = one_list([1.0, 0.0, 0.0]), np.array([3.0, 2.0, 1.0])
    bare = NDCGLoss2(truncation=2, score_normalization=False, lambda_normalization=False)
    kept, _ = bare.gradients(scores, dataset)
    sound, _ = bare.with_parameters({"truncation_rule": "lambdaloss"}).gradients(scores, dataset)
    assert sound[1] == pytest.approx(kept[1])
    assert sound[2] == pytest.approx(kept[2] / (1 - 1 / np.log2(4)))


def test_label_gaps_multiply_pairs() -> None:
    dataset, scores = one_list([3.0, 1.0, 0.5]), np.array([0.1, -0.2, 0.4])
    gradient, _ = RankNet(label_gap=2.0).gradients(scores, dataset)
    expected = sum_over_pairs(
        scores, dataset.labels, lambda i, j: float(dataset.labels[i] - dataset.labels[j]) ** 2
    )
    assert gradient == pytest.approx(expected)


def test_ties_as_half_draw_equal_labels_together() -> None:
    """Two documents of one label at 0 and 1: the target is one half, and p = 1 / (1 + exp(1))."""
    gradient, hessian = RankNet(ties_as_half=True).gradients([0.0, 1.0], one_list([1.0, 1.0]))
    p = 1 / (1 + np.exp(-1.0))
    assert gradient == pytest.approx([0.5 - p, p - 0.5])
    assert hessian == pytest.approx([p * (1 - p)] * 2)


@pytest.mark.parametrize(
    ("metric", "truncation"), [("ndcg", None), ("ndcg", 30), ("dcg", None), ("precision", 30)]
)
def test_float32_differs_little_from_float64(metric: str, truncation: int | None) -> None:
    """Relative to the largest gradient of the list, below one part in ten thousand."""
    dataset = random_lists(queries=3, longest=400, seed=8)
    scores = np.random.default_rng(0).normal(size=dataset.document_count) * 5
    single, double = (
        LambdaRank(metric=metric, truncation=truncation, precision=precision).prepare(dataset)(scores)
        for precision in ("float32", "float64")
    )
    for fast, exact in zip(single, double, strict=True):
        assert fast.dtype == np.float32
        assert np.abs(fast - exact).max() < 1e-4 * np.abs(exact).max()


def test_long_lists_have_no_limit() -> None:
    """20,000 documents of one query, many of them tied."""
    rng = np.random.default_rng(2)
    dataset = one_list(rng.integers(0, 5, 20_000).astype(float).tolist())
    gradient, hessian = LambdaRank().prepare(dataset, 2)(np.round(rng.normal(size=20_000), 2))
    assert np.isfinite(gradient).all()
    assert gradient.any()
    assert (hessian >= 0).all()


@pytest.mark.parametrize("name", ["margin_mse", "gumbel:margin_mse"])
def test_a_teachers_scores_are_learned_where_there_are_any(name: str) -> None:
    """Of any sign; a constant a list changes nothing; labels where there are none."""
    graded = random_lists(queries=5, seed=3)
    scores = np.random.default_rng(0).normal(size=graded.document_count)
    teacher = np.random.default_rng(1).normal(size=graded.document_count).astype(np.float32)
    objective = objective_named(name)
    assert objective.labels == "real"
    taught, _ = objective.gradients(scores, replace(graded, targets=teacher))
    moved, _ = objective.gradients(scores, replace(graded, targets=teacher - 3))
    assert moved == pytest.approx(taught, abs=1e-5)
    as_labels, _ = objective.gradients(scores, replace(graded, labels=teacher - teacher.min()))
    assert taught == pytest.approx(as_labels, abs=1e-5)
    assert (taught != objective.gradients(scores, graded)[0]).any()
    assert objective_named("ranknet").labels == "graded"


def test_focal_gradient_has_the_right_sign_for_both_classes() -> None:
    """(2y − 1) alpha_t (1 − p_t)^gamma (gamma p_t log p_t + p_t − 1), by hand at z = 0.4."""
    z, p = 0.4, 1 / (1 + np.exp(-0.4))
    gradient, _ = Focal(alpha=0.25, gamma=2.0).gradients([z, z], one_list([1.0, 0.0]))
    q = 1 - p
    assert gradient[0] == pytest.approx(0.25 * q**2 * (2 * p * np.log(p) + p - 1))
    assert gradient[1] == pytest.approx(-0.75 * p**2 * (2 * q * np.log(q) + q - 1))
    assert gradient[0] < 0 < gradient[1]


def test_focal_without_focus_is_half_the_logistic_loss() -> None:
    dataset, scores = one_list([1.0, 0.0, 0.0]), [0.3, -2.0, 5.0]
    halves = Focal(alpha=0.5, gamma=0.0).gradients(scores, dataset)
    for half, whole in zip(halves, LogisticLoss().gradients(scores, dataset), strict=True):
        assert half == pytest.approx(0.5 * whole)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("z", [-1e30, -40.0, 40.0, 200.0, 1e30])
def test_focal_is_finite_for_any_logit(gamma: float, z: float) -> None:
    """The usual (1 − exp(−ce))^gamma has an infinite derivative here for gamma below 1."""
    gradient, hessian = Focal(gamma=gamma).gradients([z, z], one_list([1.0, 0.0]))
    assert np.isfinite(gradient).all()
    assert np.isfinite(hessian).all()


def test_quality_focal_rests_at_the_quality() -> None:
    """Labels 1 of 4: no force at p = 1/4."""
    dataset = one_list([1.0, 4.0])
    gradient, hessian = QualityFocal().gradients([np.log(1 / 3), 50.0], dataset)
    assert gradient == pytest.approx([0.0, 0.0], abs=1e-12)
    assert hessian[0] > 0


def test_varifocal_weighs_positives_by_quality_and_negatives_by_difficulty() -> None:
    """q (p − q) for q = 1/2; −alpha times the derivative of p^gamma log(1 − p) for q = 0."""
    z = 0.7
    p = 1 / (1 + np.exp(-z))
    gradient, _ = Varifocal().gradients([z, z, z], one_list([1.0, 0.0, 2.0]))
    assert gradient[0] == pytest.approx(0.5 * (p - 0.5))
    assert gradient[1] == pytest.approx(0.75 * p**2 * (-2 * (1 - p) * np.log(1 - p) + p))
    assert gradient[2] == pytest.approx(p - 1)


def test_class_balance_by_hand() -> None:
    """Three negatives and one positive at beta = 0.9: (1 − .9) / (1 − .9^n), scaled to sum to 2."""
    raw = np.array([0.1 / (1 - 0.9**3), 1.0])
    weights = 2 * raw / raw.sum()
    gradient, _ = ClassBalancedFocal(beta=0.9, gamma=0.0).gradients([0.0] * 4, one_list([1.0, 0.0, 0.0, 0.0]))
    assert gradient == pytest.approx([-0.5 * weights[1], *[0.5 * weights[0]] * 3])


def test_softmax_by_hand() -> None:
    """Labels 1 and 3 of three documents: targets 1/4 and 3/4, at equal scores p = 1/3."""
    gradient, hessian = Softmax().gradients([0.0] * 3, one_list([1.0, 3.0, 0.0]))
    assert gradient == pytest.approx([1 / 3 - 1 / 4, 1 / 3 - 3 / 4, 1 / 3])
    assert hessian == pytest.approx([2 / 9] * 3)


@pytest.mark.parametrize("name", ["xendcg", "gumbel:lambdarank", "gumbel:softmax"])
def test_draws_depend_on_the_round_alone(name: str) -> None:
    """A run continued at round 2 draws what the whole run drew; rounds and seeds differ."""
    dataset = random_lists(queries=5, seed=1)
    scores, objective = np.zeros(dataset.document_count), objective_named(name)
    whole = objective.prepare(dataset)
    rounds = [np.array(whole(scores)[0]) for _ in range(4)]
    continued = objective.prepare(dataset, first_round=2)
    assert (continued(scores)[0] == rounds[2]).all()
    assert (continued(scores)[0] == rounds[3]).all()
    assert (rounds[0] != rounds[1]).any()
    other = objective_named(name, {"noise_seed": 2}).prepare(dataset)(scores)[0]
    assert (other != rounds[0]).any()


def test_gumbel_is_the_mean_over_its_draws() -> None:
    objective = objective_named(
        "gumbel:ranknet", {"draws": 3, "strength": 0.7, "sigma": 2.0, "truncation": 4}
    )
    dataset = random_lists(queries=4, seed=2)
    scores = np.random.default_rng(0).normal(size=dataset.document_count)
    inner = RankNet(sigma=2.0, truncation=4)
    parts = [inner.gradients(scores + noise, dataset)[0] for noise in objective.noise(len(scores), 0)]
    assert objective.gradients(scores, dataset)[0] == pytest.approx(np.mean(parts, axis=0))


def test_xendcg_targets_are_gains_less_a_uniform_draw() -> None:
    dataset = one_list([2.0, 0.0, 1.0])
    uniform = np.random.default_rng([1, 5]).random(3)
    expected = np.array([4.0, 1.0, 2.0]) - uniform
    assert XENDCG().targets(dataset, 5) == pytest.approx(expected / expected.sum())


def test_clicks_weigh_by_the_place_of_the_clicked_document() -> None:
    """One click, at the second place, whose propensity is 1/4: the pairs count four times."""
    dataset = replace(one_list([0.0, 1.0, 0.0]), positions=np.array([1, 2, 3]))
    bare: dict[str, Any] = {"score_normalization": False, "lambda_normalization": False}
    scores = np.array([0.2, 0.1, -0.3])
    weighted, _ = UnbiasedLambdaRank(propensities=[1, 0.25, 0.1], **bare).gradients(scores, dataset)
    assert weighted == pytest.approx(4 * LambdaRank(**bare).gradients(scores, dataset)[0])


def test_positions_must_be_known() -> None:
    with pytest.raises(DataError, match=r"objective\.positions=rows"):
        UnbiasedLambdaRank(propensities=[1.0]).gradients([0.0, 1.0], one_list([0.0, 1.0]))
    with pytest.raises(DataError, match="shown at position 2, and propensities are given for 1 positions"):
        UnbiasedLambdaRank(propensities=[1.0], positions="rows").gradients([0.0, 1.0], one_list([0.0, 1.0]))


@pytest.mark.parametrize("metric", ["map", "mrr", "err"])
def test_alike_documents_share_what_their_places_would_earn(metric: str) -> None:
    """Equal in score and label: one gradient for all, and a shuffled file changes nothing."""
    dataset = one_list([1.0, 0.0, 0.0, 2.0, 1.0, 0.0])
    scores = np.array([1.0, 1.0, 1.0, 0.0, 1.0, 0.0])
    gradient, _ = plain(metric=metric).gradients(scores, dataset)
    assert gradient[0] == gradient[4]
    assert gradient[1] == gradient[2]
    shuffled, rows = permuted_within(dataset, 3)
    assert plain(metric=metric).gradients(scores[rows], shuffled)[0] == pytest.approx(gradient[rows])


def test_gains_and_discounts_may_be_tables_or_functions() -> None:
    dataset, scores = one_list([0.0, 2.0, 1.0]), np.array([0.3, 0.1, 0.2])
    named = plain().gradients(scores, dataset)[0]
    tables = plain(gain=[0, 1, 3], discount=(1 / np.log2([2, 3, 4])).tolist())
    functions = plain(gain=lambda y: 2.0**y - 1, discount=lambda r: 1 / np.log2(1 + r))
    assert tables.gradients(scores, dataset)[0] == pytest.approx(named)
    assert functions.gradients(scores, dataset)[0] == pytest.approx(named)
    with pytest.raises(DataError, match=r"table for the labels 0\.\.1"):
        plain(gain=[0, 1]).gradients(scores, dataset)
    with pytest.raises(UsageError, match="set truncation"):
        plain(metric="precision")
    with pytest.raises(UsageError, match="must not rise"):
        plain(discount=[0.5, 1.0])


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("lambdarank_map", {}),
        ("gumbel:ranknet", {}),
        ("focal", {}),
        ("unbiased_lambdarank", {}),
        ("hinge", {"metric": "err", "margin": 2.0}),
        ("lambdarank", {"pair_loss": "squared_hinge", "weight": "ndcg_loss2", "mu": 3.0}),
        ("gumbel:hinge", {"metric": "ndcg", "strength": 0.1}),
        ("ranknet", {"propensities": [1.0, 0.5], "positions": "rows"}),
    ],
)
def test_parameters_come_back_as_they_were_given(name: str, parameters: Any) -> None:
    """What a manifest records makes the same objective again, for wrapped and composed ones too."""
    objective = objective_named(name, parameters)
    assert objective_named(name, objective.parameters()) == objective


def test_the_old_names_are_products() -> None:
    """A pair loss times a pair weight, however it is said."""
    hinge = Pairwise(pair_loss=HingePair(margin=2.0), weight=MetricWeight(metric="map"), truncation=5)
    assert objective_named("hinge", {"metric": "map", "margin": 2.0, "truncation": 5}) == hinge
    assert LambdaRank(metric="map") == objective_named("lambdarank_map")
    assert replace(LambdaRank(), weight=UniformWeight(), truncation=None) == RankNet(
        score_normalization=True, lambda_normalization=True
    )
    assert hinge.name == "hinge × metric"
    assert hinge.hessian == "surrogate"
    assert hinge.formula == "sum over y_i > y_j of |ΔMAP_ij| · max(0, margin − (s_i − s_j))"
    assert UnbiasedLambdaRank().needs_positions


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("hinge", {"gain": "linear"}, "unknown parameter of objective hinge: 'gain'"),
        ("hinge", {"sigma": 2.0}, "unknown parameter of objective hinge: 'sigma'"),
        ("hinge", {"clicks": "estimate"}, "unknown parameter of objective hinge: 'clicks'"),
        ("hinge", {"metric": "nope"}, "unknown metric 'nope'"),
        ("hinge", {"metric": "precision"}, "set truncation"),
        ("hinge", {"ties_as_half": True}, "hinge pairs have none"),
        ("hinge", {"weight": "swap"}, "unknown weight 'swap'"),
        ("lambdarank", {"pair_loss": "hing"}, "unknown pair_loss 'hing'; did you mean 'hinge'"),
        ("lambdarank", {"ties_as_half": True}, "unknown parameter of objective lambdarank"),
        ("ndcg_loss2", {"metric": "map"}, "metric must be ndcg"),
        ("gumbel:hinge", {"strenght": 0.1}, "did you mean 'strength'"),
        ("lambdarank", {"truncation_rule": "lambdaloss"}, "unknown truncation_rule 'lambdaloss'"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, parameters: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        objective_named(name, parameters)


def test_weights_make_documents_count() -> None:
    """Pointwise: each document's own; listwise: its target's."""
    weights = np.array([2.0, 0.0, 1.0], np.float32)
    dataset, scores = one_list([1.0, 0.0, 0.0]), [0.1, 0.2, 0.3]
    weighted = replace(dataset, weights=weights)
    gradient = LogisticLoss().gradients(scores, weighted)[0]
    assert gradient == pytest.approx(weights * LogisticLoss().gradients(scores, dataset)[0])
    assert Softmax().gradients(scores, weighted)[0] == pytest.approx(
        2 * Softmax().gradients(scores, dataset)[0]
    )


def test_datasets_need_no_copy_for_positions() -> None:
    """`rows` reads the order of rows, whatever positions say."""
    dataset = RankingDataset(
        features=np.zeros((2, 1), np.float32), labels=np.array([0.0, 1.0]), offsets=np.array([0, 2]),
        query_ids=["q"], positions=np.array([2, 1]),
    )  # fmt: skip
    by_rows = UnbiasedLambdaRank(propensities=[1.0, 0.5], positions="rows").clicks
    by_data = UnbiasedLambdaRank(propensities=[1.0, 0.5]).clicks
    assert by_rows.winner_weights(dataset).tolist() == [1.0, 2.0]
    assert by_data.winner_weights(dataset).tolist() == [2.0, 1.0]
