"""The `neural` table of a config."""

from __future__ import annotations

from typing import Any

import pytest

from ranking.errors import UsageError
from ranking.neural.settings import NeuralSettings
from ranking.training.config import TrainConfig


def test_architectures_are_layers_by_name() -> None:
    assert (NeuralSettings().cross, NeuralSettings().blocks) == (0, 0)
    assert NeuralSettings(architecture="dcn").cross == 2
    assert NeuralSettings(architecture="attention").blocks == 2
    assert NeuralSettings(architecture="dcn", cross=3).cross == 3


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"depth": 3}, "unknown key of neural: 'depth'"),
        ({"architecture": "rnn"}, "unknown neural.architecture 'rnn'"),
        ({"inputs": "quantiles"}, "did you mean 'quantile'"),
        ({"teacher": "catboost"}, "unknown neural.teacher 'catboost'.*none"),
        ({"teacher_share": 2}, "neural.teacher_share must be a number from 0 to 1"),
        ({"hidden": []}, "1 to 64 widths"),
        ({"hidden": [0]}, "neural.hidden must be a whole number from 1"),
        ({"hidden": "wide"}, "neural.hidden must be a whole number"),
        ({"dropout": 1.0}, "neural.dropout must be a number from 0 to 0.99"),
        ({"rate": 0}, "neural.rate must be above 0"),
        ({"clip": -1}, "neural.clip must be above 0"),
        ({"architecture": "attention", "heads": 3}, "must divide the last of neural.hidden"),
        ({"batch_queries": 1.5}, "neural.batch_queries must be a whole number"),
    ],
)
def test_what_cannot_be_is_named(table: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        NeuralSettings.of(table)


def test_a_config_takes_them_from_flags() -> None:
    config = TrainConfig.load(None, {"backend": "neural"}, ["neural.hidden=32,16", "neural.teacher=none"])
    assert config.network.hidden == (32, 16)
    assert config.rounds == 15
    assert config.early_stopping == 8
    told = config.resolved()
    assert told["neural"]["hidden"] == [32, 16]
    assert told["neural"]["teacher"] is None
    assert "booster" not in told
    assert TrainConfig(backend="neural", rounds=3).rounds == 3
    one = TrainConfig.load(None, {"backend": "neural"}, ["neural.hidden=32"])
    assert one.network.hidden == (32,)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"backend": "neural", "booster": {"num_leaves": 3}}, "booster.num_leaves is for trees"),
        ({"backend": "neural", "query_fraction": 0.5}, "query_fraction is for trees"),
        ({"neural": {"hidden": [3]}}, "neural.hidden is for --backend neural"),
        ({"backend": "neural", "rounds": 0}, "rounds must be an integer of at least 1"),
        ({"rounds": 0}, "rounds must be an integer of at least 1"),
    ],
)
def test_tables_of_another_backend_are_errors(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        TrainConfig(**given)


def test_a_boosters_own_objective_is_no_networks() -> None:
    with pytest.raises(UsageError, match="a network has none"):
        TrainConfig(backend="neural", objective="builtin").loss()


def test_few_lists_make_small_steps() -> None:
    """At least twenty steps an epoch, unless that leaves hardly a list in each."""
    assert [NeuralSettings().lists_a_step(n) for n in (10, 200, 400, 10_000)] == [4, 10, 20, 32]
    assert NeuralSettings(batch_queries=64).lists_a_step(10) == 64
