"""Both boosters on our objectives: parity with their own, and each of their traps handled or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ranking.errors import DataError, UsageError
from ranking.metrics import Metric
from ranking.objectives import OBJECTIVES, Hinge, LambdaRank, RankNet, objective_named
from ranking.training.presets import PRESETS
from ranking.trees.backends import BACKENDS
from ranking.trees.boosting import boost, stateful
from ranking.trees.boosting.job import watched_gradients
from ranking.trees.boosting.refused import refuse
from ranking.trees.ranker import TreeRanker
from tests.lists import one_list, random_lists
from tests.ranking.trees.boosting.jobs import SMALL, Silent, both, job, refused, scores_of


@pytest.fixture(scope="module")
def lists() -> Any:
    # LightGBM's sigmoid table is 1e-5 off, which may decide between splits of nearly equal gain; not here.
    return random_lists(queries=60, longest=25, features=6, grades=5, seed=2)


@pytest.mark.parametrize("truncation", [30, 5])
@pytest.mark.parametrize("norm", [True, False])
def test_lambdarank_is_lightgbms_own_with_its_conventions(lists: Any, truncation: int, norm: bool) -> None:
    """Same predictions to 1e-4 after 20 rounds: ties in file order, both normalisations by its one switch."""
    ours = LambdaRank(ties="file", truncation=truncation, score_normalization=norm, lambda_normalization=norm)
    own = SMALL["lightgbm"] | {"lambdarank_truncation_level": truncation, "lambdarank_norm": norm}
    here = scores_of("lightgbm", boost("lightgbm", job("lightgbm", lists, ours)), lists)
    there = scores_of("lightgbm", boost("lightgbm", job("lightgbm", lists, "lambdarank", booster=own)), lists)
    assert np.abs(here - there).max() < 1e-4
    assert np.ptp(here) > 0.5


XGBOOST_OWN: dict[str, tuple[Any, dict[str, Any]]] = {
    "rank:ndcg": (LambdaRank(ties="file", truncation=32, hessian_scale=2.0), {}),
    "rank:ndcg, no normalisation": (
        LambdaRank(
            ties="file",
            truncation=8,
            hessian_scale=2.0,
            score_normalization=False,
            lambda_normalization=False,
        ),
        {
            "lambdarank_num_pair_per_sample": 8,
            "lambdarank_normalization": False,
            "lambdarank_score_normalization": False,
        },
    ),
    "rank:pairwise, no normalisation": (
        RankNet(hessian_scale=2.0),
        {
            "lambdarank_num_pair_per_sample": 1000,
            "lambdarank_normalization": False,
            "lambdarank_score_normalization": False,
        },
    ),
}


@pytest.mark.parametrize("name", XGBOOST_OWN)
def test_objectives_are_xgboosts_own_with_its_conventions(lists: Any, name: str) -> None:
    """Same predictions to 1e-4 after 20 rounds: ties in file order, the hessian doubled."""
    ours, own = XGBOOST_OWN[name]
    builtin = job("xgboost", lists, name.split(",")[0], booster=SMALL["xgboost"] | own)
    here = scores_of("xgboost", boost("xgboost", job("xgboost", lists, ours)), lists)
    there = scores_of("xgboost", boost("xgboost", builtin), lists)
    assert np.abs(here - there).max() < 1e-4
    assert np.ptp(here) > 0.5


def test_the_two_boosters_agree_on_one_objective(lists: Any) -> None:
    """The same gradients and equal trees give nearly the same order on both."""
    scores = [scores_of(b, boost(b, job(b, lists, OBJECTIVES["lambdarank"])), lists) for b in BACKENDS]
    assert np.corrcoef(*scores)[0, 1] > 0.95


@both
@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_learns(backend: str, name: str, lists: Any) -> None:
    """The trained scores order documents much better than chance, and the loss falls."""
    objective, metric = OBJECTIVES[name], Metric.parse("ndcg@10")
    if objective.needs_positions:
        objective = objective_named(name, {"positions": "rows", "propensities": [1.0] * 25})
    scores = scores_of(backend, boost(backend, job(backend, lists, objective)), lists)
    chance = np.zeros(len(scores))
    assert objective.loss(scores, lists, chance) < objective.loss(chance, lists)
    assert metric.mean(scores, lists) > metric.mean(chance, lists) + 0.1


@both
def test_hinge_has_no_infinite_leaves_without_regularisation(backend: str, lists: Any) -> None:
    """No leaf moves a score by more than margin times rate, with every regulariser at zero."""
    unbounded = {
        "lightgbm": {
            "lambda_l2": 0.0,
            "min_sum_hessian_in_leaf": 0.0,
            "min_data_in_leaf": 1,
            "learning_rate": 0.1,
        },
        "xgboost": {"reg_lambda": 0.0, "min_child_weight": 0.0, "learning_rate": 0.1},
    }
    scores = scores_of(
        backend, boost(backend, job(backend, lists, Hinge(), 10, booster=unbounded[backend])), lists
    )
    assert np.isfinite(scores).all()
    assert np.abs(scores).max() <= 10 * 0.1 + 1e-5


@both
def test_training_does_not_depend_on_row_order(backend: str, lists: Any) -> None:
    """Rows sorted by label, or against it, give the same order of documents: equal scores leak nothing."""
    query_of_row = np.repeat(np.arange(lists.query_count), lists.sizes)
    results = []
    for sign in (1, -1):
        rows = np.lexsort((sign * lists.labels, query_of_row))
        data = replace(lists, features=lists.features[rows], labels=lists.labels[rows])
        scores = np.empty(len(rows))
        scores[rows] = scores_of(
            backend, boost(backend, job(backend, data, OBJECTIVES["lambdarank"], 5)), data
        )
        results.append(scores)
    assert results[0] == pytest.approx(results[1], abs=1e-5)


RESUMABLE: dict[str, Any] = {
    "lambdarank": OBJECTIVES["lambdarank"],
    "gumbel:lambdarank": objective_named("gumbel:lambdarank"),
    "xendcg": OBJECTIVES["xendcg"],
    "unbiased_lambdarank": objective_named("unbiased_lambdarank", {"positions": "rows"}),
    "builtin": None,
}


@both
@pytest.mark.parametrize("preset", ["standard", "plain"])
@pytest.mark.parametrize("name", RESUMABLE)
def test_a_continued_run_is_the_same_bytes(backend: str, name: str, preset: str, lists: Any) -> None:
    """Stopping after 7 rounds and continuing to 20 writes the model of an unbroken run, draws and all."""
    shared: dict[str, Any] = {
        "valid": random_lists(seed=1, features=6),
        "booster": SMALL[backend] | BACKENDS[backend].presets.get(preset, {}),
        "query_fraction": PRESETS[preset].query_fraction if name != "builtin" else 1.0,
    }
    objective = RESUMABLE[name] or BACKENDS[backend].builtin
    assert stateful(backend, shared["booster"], None if RESUMABLE[name] else objective) is None
    whole = Silent()
    full = boost(backend, job(backend, lists, objective, watch=whole, **shared))
    part = Silent(stop_after=7)
    boost(backend, job(backend, lists, objective, watch=part, **shared))
    rest = Silent()
    continued = boost(backend, job(backend, lists, objective, watch=rest, start=part.snapshot, **shared))
    assert continued == full
    assert rest.rounds == list(range(8, 21))
    assert (rest.valid[-1] == whole.valid[-1]).all()


@both
def test_each_tree_learns_from_its_share_of_the_queries(backend: str, lists: Any) -> None:
    """Draws differ from round to round and by seed; all queries are the plain run."""
    seen: list[Any] = []
    objective = replace(OBJECTIVES["ranknet"])
    gradients = watched_gradients(job(backend, lists, objective, query_fraction=0.5), 0)
    scores = np.random.default_rng(0).normal(size=lists.document_count)
    for _ in range(3):
        gradient, hessian = gradients(scores, None)
        live = np.add.reduceat(np.abs(gradient), lists.offsets[:-1]) > 0
        assert (live == (np.add.reduceat(hessian, lists.offsets[:-1]) > 0)).all()
        assert 0 < live.sum() <= 0.5 * lists.query_count
        seen.append(live)
    assert not (seen[0] == seen[1]).all()
    assert not (seen[1] == seen[2]).all()
    later, _ = watched_gradients(job(backend, lists, objective, query_fraction=0.5), 2)(scores, None)
    assert ((np.add.reduceat(np.abs(later), lists.offsets[:-1]) > 0) == seen[2]).all()
    runs = [boost(backend, job(backend, lists, objective, query_fraction=share)) for share in (1.0, 0.5)]
    assert runs[0] == boost(backend, job(backend, lists, objective))
    assert runs[0] != runs[1]


def test_drawn_queries_with_nothing_to_learn_do_not_end_the_training() -> None:
    """Of 20 queries one holds a pair: each round learns from it, drawn or not."""
    data = random_lists(queries=20, longest=6, grades=1, seed=4)
    labels = np.array(data.labels)
    labels[:2], offsets = [1, 0], data.offsets
    assert offsets[1] >= 2
    gradients = watched_gradients(
        job("lightgbm", replace(data, labels=labels), OBJECTIVES["ranknet"], query_fraction=0.1), 0
    )
    assert all(gradients(np.zeros(data.document_count), None)[0].any() for _ in range(10))


@both
def test_the_same_seed_gives_the_same_bytes(backend: str, lists: Any) -> None:
    sampled = SMALL[backend] | (
        {"bagging_fraction": 0.5, "bagging_freq": 1} if backend == "lightgbm" else {"subsample": 0.5}
    )
    one, again, other = (
        boost(backend, job(backend, lists, OBJECTIVES["hinge"], booster=sampled, seed=seed, threads=2))
        for seed in (5, 5, 6)
    )
    assert one == again
    assert one != other


@both
def test_the_watch_stops_a_run(backend: str, lists: Any) -> None:
    watch = Silent(stop_after=4)
    model = boost(backend, job(backend, lists, OBJECTIVES["ranknet"], watch=watch))
    assert watch.rounds == [1, 2, 3, 4]
    assert TreeRanker.from_bytes(backend, model, feature_names=("",) * 6, missing="nan").rounds == 4


@both
def test_held_out_scores_are_those_of_the_model(backend: str, lists: Any) -> None:
    """Early stopping watches what serving would answer."""
    valid, watch = random_lists(seed=1, features=6), Silent()
    model = boost(backend, job(backend, lists, OBJECTIVES["ranknet"], valid=valid, watch=watch))
    assert watch.valid[-1] == pytest.approx(scores_of(backend, model, valid), abs=1e-5)
    assert not watch.first.any()  # base_score and boost_from_average are off: training starts at 0


class NotANumber:
    """An objective whose gradient goes wrong."""

    name, hessian = "broken", "exact"

    def prepare(self, dataset: Any, threads: int = 1, first_round: int = 0) -> Any:
        gradient = np.ones(dataset.document_count)
        gradient[5] = np.nan
        return lambda scores: (gradient, np.ones(dataset.document_count))


@both
def test_nan_gradients_are_refused(backend: str, lists: Any) -> None:
    """Either booster would train a constant model from them, without a word."""
    with pytest.raises(DataError, match=r"gradient of row 5 \(query q0\) is not finite"):
        boost(backend, job(backend, lists, NotANumber()))


def test_states_of_the_boosters_own_objectives_are_known() -> None:
    assert stateful("lightgbm", {}, "rank_xendcg") == "objective rank_xendcg"
    assert stateful("lightgbm", {}, "lambdarank") is None
    assert (
        stateful("xgboost", {"lambdarank_pair_method": "mean"}, "rank:ndcg")
        == "booster.lambdarank_pair_method"
    )


@both
def test_gradients_beyond_float32_are_refused(backend: str, lists: Any) -> None:
    """They are finite in float64 and infinite where the booster sees them."""
    heavy = replace(lists, weights=np.full(lists.query_count, 3e38, np.float32))
    with pytest.raises(DataError, match="is not finite"):
        boost(backend, job(backend, heavy, RankNet(sigma=30.0)))


@both
def test_labels_that_never_differ_are_refused(backend: str) -> None:
    with pytest.raises(DataError, match="no query has two documents with different labels"):
        boost(backend, job(backend, one_list([1.0] * 50), OBJECTIVES["lambdarank"]))


def test_too_little_data_for_lightgbm_is_said_in_words() -> None:
    with pytest.raises(DataError, match=r"no feature to split the 3 documents by: .*min_data_in_leaf=5"):
        boost("lightgbm", job("lightgbm", one_list([0.0, 1.0, 2.0]), OBJECTIVES["lambdarank"]))


def test_bagging_by_query_is_refused_with_our_objectives(lists: Any) -> None:
    """LightGBM skips the draw on the custom path, and would train an empty model."""
    booster = {"bagging_by_query": True, "bagging_fraction": 0.5, "bagging_freq": 1}
    with pytest.raises(UsageError, match="bagging_by_query trains an empty model"):
        boost("lightgbm", job("lightgbm", lists, OBJECTIVES["lambdarank"], booster=booster))


def test_random_forests_are_refused_by_name(lists: Any) -> None:
    with pytest.raises(UsageError, match="boosting=rf takes no custom gradients"):
        boost("lightgbm", job("lightgbm", lists, OBJECTIVES["lambdarank"], booster={"boosting": "rf"}))


@pytest.mark.parametrize(
    ("backend", "booster", "message"),
    [
        ("lightgbm", {"num_leavs": 7}, "unknown LightGBM parameter 'num_leavs'; did you mean 'num_leaves'"),
        ("xgboost", {"max_leavs": 7}, "XGBoost refuses booster.max_leavs=7: it does not use it"),
        ("xgboost", {"max_depth": "deep"}, "XGBoost refuses booster.max_depth='deep': Invalid"),
        ("lightgbm", {"n_estimators": 7}, "set by --rounds"),
        ("xgboost", {"eval_metric": "ndcg"}, "set by --metric"),
        ("xgboost", {"base_score": 0.5}, "base_score is fixed"),
        ("xgboost", {"tree_method": "approx"}, "tree_method must be hist here, got 'approx'"),
        ("xgboost", {"booster": "gblinear"}, "booster must be gbtree or dart here"),
        ("lightgbm", {"deterministic": False}, "deterministic is fixed"),
        ("lightgbm", {"linear_tree": True}, "models with linear leaves cannot be checked"),
        ("lightgbm", {"boosting": "random_forest"}, "takes no custom gradients"),
    ],
)
def test_parameters_that_would_be_ignored_are_refused(
    backend: str, booster: Any, message: str, lists: Any
) -> None:
    with pytest.raises(UsageError, match=message):
        boost(backend, job(backend, lists, OBJECTIVES["hinge"], booster=booster))


def test_more_documents_than_lightgbm_takes_train_with_our_objective() -> None:
    """LightGBM's own objectives end at 10,000 documents a query; the refusal says who has no limit."""
    labels = (np.arange(10_500) % 3).astype(float)
    data = one_list(labels.tolist())
    model = boost("lightgbm", job("lightgbm", data, LambdaRank(truncation=5), 2))
    assert np.ptp(scores_of("lightgbm", model, data)) > 0
    with pytest.raises(DataError, match="query q has 10500 documents"):
        boost("lightgbm", job("lightgbm", data, "lambdarank", 2))


def test_labels_lightgbm_cannot_take_are_named() -> None:
    with pytest.raises(DataError, match=r"label 0\.5 of row 1: LightGBM's own objectives take integers"):
        boost("lightgbm", job("lightgbm", one_list([1.0, 0.5]), "lambdarank"))


@pytest.mark.parametrize(
    ("backend", "booster", "expected"),
    [
        ("lightgbm", {"subsample": 0.5}, "booster.bagging_fraction"),
        ("lightgbm", {"boosting": "dart"}, "booster.boosting"),
        ("lightgbm", {"num_leaves": 9}, None),
        ("lightgbm", {"extra_trees": True, "feature_fraction_bynode": 0.5}, None),
        ("lightgbm", {"feature_fraction": 0.5}, "booster.feature_fraction"),
        ("xgboost", {"colsample_bynode": 0.5}, "booster.colsample_bynode"),
        ("xgboost", {"eta": 0.5}, None),
    ],
)
def test_runs_that_keep_a_state_are_known(backend: str, booster: Any, expected: str | None) -> None:
    assert stateful(backend, booster) == expected


@both
def test_missing_means_what_training_said(backend: str, lists: Any) -> None:
    """With missing="zero" a NaN scores as 0 does."""
    model = boost(backend, job(backend, lists, OBJECTIVES["ranknet"]))
    ranker = TreeRanker.from_bytes(backend, model, feature_names=("",) * 6, missing="zero")
    holes, zeros = lists.features.copy(), lists.features.copy()
    holes[::2, :3], zeros[::2, :3] = np.nan, 0.0
    assert (ranker.score(holes) == ranker.score(zeros)).all()
    assert np.isnan(holes[0, 0])


@both
def test_contributions_sum_to_the_score(backend: str, lists: Any) -> None:
    ranker = TreeRanker.from_bytes(
        backend,
        boost(backend, job(backend, lists, OBJECTIVES["ranknet"])),
        feature_names=("",) * 6,
        missing="nan",
    )
    parts = ranker.contributions(lists.features)
    assert parts.shape == (lists.document_count, 7)
    assert parts.sum(axis=1) == pytest.approx(ranker.score(lists.features), abs=1e-5)
    assert ranker.importance().argmax() == np.abs(parts[:, :-1]).mean(axis=0).argmax()


@both
def test_query_weights_reach_both_paths(backend: str, lists: Any) -> None:
    """Weight 0 on half the queries trains as those queries were not there (but for histogram bins)."""
    weights = (np.arange(lists.query_count) % 2).astype(np.float32)
    weighted = replace(lists, weights=weights)
    one = scores_of(backend, boost(backend, job(backend, weighted, OBJECTIVES["lambdarank"], 3)), lists)
    plain = scores_of(backend, boost(backend, job(backend, lists, OBJECTIVES["lambdarank"], 3)), lists)
    assert np.abs(one - plain).max() > 1e-3


# --- Parameters tried before the training -----------------------------------------------------------


@pytest.mark.parametrize(
    ("backend", "booster", "message"),
    [
        ("lightgbm", {"learning_rate": -1}, "LightGBM refuses booster.learning_rate=-1: learning_rate must"),
        ("lightgbm", {"num_leaves": 1}, "LightGBM refuses booster.num_leaves=1: num_leaves must be > 1"),
        ("lightgbm", {"num_leaves": 10**7}, "booster.num_leaves=10000000: num_leaves must be <= 131072"),
        ("lightgbm", {"max_leaves": 9, "max_bin": "x"}, "booster.max_bin='x': Parameter max_bin should be"),
        ("lightgbm", {"data_sample_strategy": "goss", "bagging_freq": 1, "bagging_fraction": 0.5}, "GOSS"),
        ("lightgbm", {"monotone_constraints": [1, 0]}, "has 2 entries, one for each of the 6"),
        ("lightgbm", {"interaction_constraints": [[0, 1], [6]]}, "names feature 6, and the last"),
        ("xgboost", {"learning_rate": -1}, "booster.learning_rate=-1: value -1 for"),
        ("xgboost", {"monotone_constraints": [1, 0]}, "has 2 entries, one for each of the 6"),
        ("xgboost", {"monotone_constraints": "(1,0)"}, "monotone_constraints has 2 entries"),
        ("xgboost", {"interaction_constraints": "[[0,9]]"}, "names feature 9"),
        ("xgboost", {"interaction_constraints": "[[0,"}, "XGBoost refuses booster.interaction_constraints="),
        ("xgboost", {"max_bin": None}, "booster.max_bin=None: a whole number is expected"),
        ("xgboost", {"max_bin": 1}, "booster.max_bin=1: Check failed: max_bin >= 2"),
        ("xgboost", {"eta": 0.1, "subsample": 2}, "booster.subsample=2: value 2 for"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_by_its_parameter_and_nothing_else(
    backend: str, booster: Any, message: str, lists: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    said = refused(backend, booster, OBJECTIVES["hinge"], lists)
    assert message in said
    assert "min_data_in_leaf" not in said
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("constraint", [[-1, 0, 0, 0, 0, 0], "-1,0,0,0,0,0", "(-1,0,0,0,0,0)"])
@both
def test_monotone_constraints_hold_however_written(backend: str, constraint: Any, lists: Any) -> None:
    """A score never rises with a feature that may only lower it, though unconstrained trees let it."""
    if backend == "lightgbm":
        constraint = constraint.strip("()") if isinstance(constraint, str) else constraint
    grid = np.repeat(lists.features[:1], 50, axis=0)
    grid[:, 0] = np.linspace(-3, 3, 50)
    steps = []
    for booster in ({}, {"monotone_constraints": constraint}):
        model = boost(backend, job(backend, lists, OBJECTIVES["ranknet"], booster=SMALL[backend] | booster))
        steps.append(np.diff(scores_of(backend, model, replace(one_list([0.0] * 50), features=grid))))
    assert (steps[0] > 0).any()
    assert (steps[1] <= 0).all()


@pytest.mark.parametrize("constraint", [[[0, 1], [2, 3, 4, 5]], "[0,1],[2,3,4,5]"])
@both
def test_interaction_constraints_may_be_lists_or_text(backend: str, constraint: Any, lists: Any) -> None:
    models = [
        boost(backend, job(backend, lists, OBJECTIVES["ranknet"], booster=SMALL[backend] | booster))
        for booster in ({}, {"interaction_constraints": constraint})
    ]
    assert (scores_of(backend, models[0], lists) != scores_of(backend, models[1], lists)).any()


@pytest.mark.parametrize(
    ("backend", "booster", "message"),
    [
        ("lightgbm", {"lambdarank_truncation_level": 5}, "use objective.truncation"),
        ("lightgbm", {"label_gain": [0, 1]}, "set by --gain"),
        ("lightgbm", {"sigmoid": 2}, "use objective.sigma"),
        ("lightgbm", {"loss": "binary"}, "booster.objective is set by --objective"),
        ("lightgbm", {"random_state": 5}, "booster.seed is set by --seed"),
        ("lightgbm", {"bagging_seed": 5}, "set by --seed"),
        (
            "lightgbm",
            {"lambdarank_position_bias_regularization": 1},
            "set by --objective unbiased_lambdarank",
        ),
        ("lightgbm", {"valid": "x.txt"}, "booster.valid has no effect on this training"),
        ("lightgbm", {"forcedsplits_filename": "/nowhere.json"}, "cannot read /nowhere.json: No such file"),
        ("lightgbm", {"forcedbins_filename": __file__}, "is not JSON"),
        ("lightgbm", {"fair_c": 2}, "builtin:NAME, whose loss it belongs to"),
        ("xgboost", {"lambdarank_num_pair_per_sample": 5}, "use objective.truncation"),
        ("xgboost", {"scale_pos_weight": 5}, "use weights in the data"),
        ("xgboost", {"lambdarank_unbiased": True}, "use --objective unbiased_lambdarank"),
        ("xgboost", {"ndcg_exp_gain": False}, "set by --gain"),
        ("xgboost", {"num_class": 3}, "a ranker gives one score a document"),
        ("xgboost", {"objective": "rank:map"}, "set by --objective"),
    ],
)
def test_a_parameter_without_effect_is_refused_with_what_to_use_instead(
    backend: str, booster: Any, message: str, lists: Any
) -> None:
    assert message in refused(backend, booster, OBJECTIVES["lambdarank"], lists)


def test_a_file_that_is_there_is_used(lists: Any, tmp_path: Path) -> None:
    """The root of every tree splits by feature 3 at 0, as the file says."""
    (tmp_path / "splits.json").write_text('{"feature": 3, "threshold": 0.0}')
    booster = SMALL["lightgbm"] | {"forcedsplits_filename": str(tmp_path / "splits.json")}
    model = boost("lightgbm", job("lightgbm", lists, OBJECTIVES["ranknet"], 3, booster=booster)).decode()
    roots = [line.split("=")[1].split()[0] for line in model.splitlines() if "split_feature=" in line]
    assert roots == ["3", "3", "3"]


@pytest.mark.parametrize(
    ("backend", "objective", "booster", "message"),
    [
        ("lightgbm", "rank:map", {}, "LightGBM has no objective 'rank:map': builtin:NAME takes one"),
        ("lightgbm", "multiclass", {"num_class": 3}, "several scores a document"),
        ("lightgbm", "multiclass", {}, "several scores a document"),
        ("lightgbm", "rank_xendcg", {"lambdarank_norm": True}, "has no effect on builtin:rank_xendcg"),
        ("lightgbm", "lambdarank", {"num_leaves": 1}, "booster.num_leaves=1: num_leaves must be > 1"),
        ("lightgbm", "lambdarank", {"lambdarank_position_bias_regularization": 1}, "unbiased_lambdarank"),
        ("xgboost", "nosuch", {}, "no objective 'nosuch': builtin:NAME takes one of its own: rank:ndcg"),
        ("xgboost", "multi:softprob", {}, "several scores a document"),
        ("xgboost", "reg:quantileerror", {"quantile_alpha": [0.1, 0.5]}, "several scores a document"),
        ("xgboost", "reg:gamma", {"learning_rate": -1}, "booster.learning_rate=-1"),
        ("xgboost", "rank:pairwise", {"tweedie_variance_power": 1.5}, "does not use it with these settings"),
    ],
)  # fmt: skip
def test_an_objective_of_the_booster_s_that_cannot_rank_is_refused_by_name(
    backend: str, objective: str, booster: Any, message: str, lists: Any
) -> None:
    assert message in refused(backend, booster, objective, lists)


@pytest.mark.parametrize(("backend", "objective"), [("lightgbm", "gamma"), ("xgboost", "reg:squarederror")])
def test_other_objectives_of_the_boosters_still_train(backend: str, objective: str, lists: Any) -> None:
    data = replace(lists, labels=lists.labels + 1)
    assert scores_of(backend, boost(backend, job(backend, data, objective)), data).std() > 0


def test_every_lightgbm_parameter_is_learned_with_or_refused(lists: Any) -> None:
    """No name that LightGBM knows is taken silently: these are about trees, bins and samples."""
    import lightgbm

    learning = {
        "bagging_by_query", "bagging_fraction", "bagging_freq", "bin_construct_sample_cnt",
        "boosting", "cat_l2", "cat_smooth", "cegb_penalty_feature_coupled",
        "cegb_penalty_feature_lazy", "cegb_penalty_split", "cegb_tradeoff", "data_sample_strategy",
        "device_type", "drop_rate", "enable_bundle", "extra_trees", "feature_contri",
        "feature_fraction", "feature_fraction_bynode", "feature_pre_filter", "force_col_wise",
        "force_row_wise", "gpu_device_id", "gpu_device_id_list", "gpu_platform_id", "gpu_use_dp",
        "histogram_pool_size", "interaction_constraints", "is_enable_sparse", "lambda_l1",
        "lambda_l2", "learning_rate", "linear_lambda", "linear_tree", "max_bin",
        "max_bin_by_feature", "max_cat_threshold", "max_cat_to_onehot", "max_delta_step",
        "max_depth", "max_drop", "min_data_in_bin", "min_data_in_leaf", "min_data_per_group",
        "min_gain_to_split", "min_sum_hessian_in_leaf", "monotone_constraints",
        "monotone_constraints_method", "monotone_penalty", "neg_bagging_fraction", "num_gpu",
        "num_grad_quant_bins", "num_leaves", "other_rate", "path_smooth", "pos_bagging_fraction",
        "quant_train_renew_leaf", "skip_drop", "stochastic_rounding", "top_rate", "uniform_drop",
        "use_missing", "use_quantized_grad", "xgboost_dart_mode", "zero_as_missing",
        "forcedbins_filename", "forcedsplits_filename",
    }  # fmt: skip
    for name in lightgbm.basic._ConfigAliases._get_all_param_aliases():
        try:
            refuse({name: ""}, None)
            assert name in learning
        except UsageError:
            assert name not in learning


@pytest.mark.parametrize("objective", ["reg:tweedie", "count:poisson", "binary:logistic"])
def test_xgboosts_objectives_with_a_link_begin_at_its_own_estimate(objective: str, lists: Any) -> None:
    """A mean of 0 would have a logarithm of minus infinity; continued, it is the same model."""
    data = replace(lists, labels=np.minimum(lists.labels, 1)) if "binary" in objective else lists
    whole = boost("xgboost", job("xgboost", data, objective, booster=SMALL["xgboost"], rounds=6))
    scores = scores_of("xgboost", whole, data)
    assert np.isfinite(scores).all()
    assert np.std(scores) > 0
    half = boost("xgboost", job("xgboost", data, objective, booster=SMALL["xgboost"], rounds=3))
    rest = job("xgboost", data, objective, booster=SMALL["xgboost"], rounds=6, start=half)
    assert boost("xgboost", rest) == whole
