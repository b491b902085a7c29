"""Presets: what each sets, and that what was asked for by name lies above it."""

from __future__ import annotations

import pytest

from ranking.errors import UsageError
from ranking.training.config import TrainConfig
from ranking.training.presets import PRESETS
from ranking.training.run import fit
from ranking.trees.backends import BACKENDS
from ranking.trees.boosting import stateful
from tests.ranking.training.runs import lists


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_preset_trains_a_model_of_its_own(backend: str) -> None:
    """With parameters its booster knows."""
    models = {}
    for preset in PRESETS:
        config = TrainConfig(backend=backend, preset=preset, rounds=5, early_stopping=0, threads=1)
        ranker = fit(config, lists(), None)
        assert ranker.rounds == 5 * len(config.runs)
        models[preset] = ranker.model
    assert len(set(models.values())) == len(PRESETS)


def test_the_recommended_run_is_the_one_that_was_measured() -> None:
    """benchmarks/README.md: change them together, with new numbers."""
    assert TrainConfig().preset == "standard"
    assert {name: preset.query_fraction for name, preset in PRESETS.items()} == {
        "standard": 0.7, "best": 0.7, "fast": 1.0, "plain": 1.0
    }  # fmt: skip
    assert BACKENDS["lightgbm"].presets == {
        "standard": {"feature_fraction_bynode": 0.3},
        "best": {"feature_fraction_bynode": 0.3},
        "fast": {
            "max_bin": 63,
            "bin_construct_sample_cnt": 20_000,
            "feature_fraction": 0.3,
            "bagging_fraction": 0.5,
            "bagging_freq": 1,
        },
    }
    assert BACKENDS["xgboost"].presets == {"fast": {"max_bin": 63, "colsample_bytree": 0.3, "subsample": 0.5}}


def test_the_members_are_the_ones_that_were_measured() -> None:
    """benchmarks/README.md, too."""
    runs = TrainConfig(preset="best").runs
    assert [run.objective for run in runs] == ["lambdarank", "xendcg", "squared_hinge", "hinge"]
    assert runs[0].told_parameters()["score_normalization"] is False
    assert {(run.preset, run.rounds, run.early_stopping) for run in runs} == {("standard", 500, 100)}


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_standard_run_can_be_resumed(backend: str) -> None:
    assert stateful(backend, TrainConfig(backend=backend).booster_settings) is None
    assert stateful(backend, TrainConfig(backend=backend, preset="fast").booster_settings) is not None


def test_what_is_given_by_name_lies_above_the_preset() -> None:
    given = TrainConfig.load(
        changes={"preset": "fast"}, sets=["booster.max_bin=31", "query_fraction=0.9", "booster.num_leaves=5"]
    )
    assert given.booster_settings["max_bin"] == 31
    assert given.booster_settings["feature_fraction"] == 0.3
    assert given.booster_settings["num_leaves"] == 5
    assert given.queries_a_tree == 0.9


def test_plain_draws_nothing() -> None:
    plain = TrainConfig(preset="plain")
    assert plain.booster_settings == {}
    assert plain.queries_a_tree == 1.0


def test_the_boosters_own_objectives_see_all_queries() -> None:
    assert TrainConfig(objective="builtin").queries_a_tree == 1.0
    assert TrainConfig().queries_a_tree == 0.7


@pytest.mark.parametrize("share", [0, -0.5, 1.5, "many"])
def test_a_share_lies_between_none_and_all(share: object) -> None:
    with pytest.raises(UsageError, match="query_fraction must be above 0 and at most 1"):
        TrainConfig(query_fraction=share)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(UsageError, match="unknown preset 'quick'"):
        TrainConfig(preset="quick")
