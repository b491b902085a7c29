"""TrainConfig: precedence, tables, types, and the form a manifest keeps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ranking.compiled.cpus import available_cpus
from ranking.errors import UsageError
from ranking.objectives import Blend, LambdaRank
from ranking.training.config import TrainConfig
from ranking.training.written import as_toml
from tests.lists import random_lists


def toml(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "run.toml"
    file.write_text(text)
    return file


# --- Precedence -------------------------------------------------------------------------------------


def test_the_defaults_are_a_run() -> None:
    config = TrainConfig.load()
    assert config == TrainConfig()
    assert (config.backend, config.objective, config.rounds) == ("lightgbm", "blend", 500)
    assert config.threads == available_cpus()


def test_the_file_wins_over_defaults_flags_over_the_file_and_set_over_flags(tmp_path: Path) -> None:
    file = toml(tmp_path, "rounds = 10\nseed = 20\nthreads = 3\n")
    config = TrainConfig.load(file, {"seed": 21, "threads": 4}, ["threads=5"])
    assert (config.early_stopping, config.rounds, config.seed, config.threads) == (100, 10, 21, 5)


def test_the_last_of_two_sets_wins() -> None:
    assert TrainConfig.load(sets=["rounds=1", "rounds=2"]).rounds == 2


OBJECTIVE_TABLE = """
[objective]
name = "ranknet"
sigma = 2.0
truncation = 7
[booster]
num_leaves = 63
"""


def test_tables_of_the_file_are_filled_by_set_key_by_key(tmp_path: Path) -> None:
    config = TrainConfig.load(
        toml(tmp_path, OBJECTIVE_TABLE), sets=["objective.sigma=3.5", "booster.max_bin=15"]
    )
    assert config.objective == "ranknet"
    assert config.objective_parameters == {"sigma": 3.5, "truncation": 7}
    assert config.booster == {"num_leaves": 63, "max_bin": 15}


def test_the_objective_may_be_a_name_that_set_adds_parameters_to(tmp_path: Path) -> None:
    config = TrainConfig.load(toml(tmp_path, 'objective = "hinge"'), sets=["objective.margin=2"])
    assert (config.objective, config.objective_parameters) == ("hinge", {"margin": 2})


def test_another_objective_by_flag_drops_the_parameters_of_the_file_s(tmp_path: Path) -> None:
    """A margin or a sigma of the one means nothing to the other."""
    file = toml(tmp_path, OBJECTIVE_TABLE)
    other = TrainConfig.load(file, {"objective": "hinge"}, ["objective.margin=2"])
    assert (other.objective, other.objective_parameters) == ("hinge", {"margin": 2})
    same = TrainConfig.load(file, {"objective": "ranknet"})
    assert same.objective_parameters == {"sigma": 2.0, "truncation": 7}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("none", None),
        ("20", 20),
        ("0.5", 0.5),
        ("1e-3", 0.001),
        ("'20'", "20"),
        ("linear", "linear"),
        ("", ""),
        ("a=b", "a=b"),
        ("1,-1,0", [1, -1, 0]),
        ("[1, 2]", [1, 2]),
        ("{1: 2}", "{1: 2}"),
        ("[[1], [2]]", "[[1], [2]]"),
        ("__import__('os')", "__import__('os')"),
        ("b'x'", "b'x'"),
        ("(" * 200, "(" * 200),
    ],
)
def test_set_reads_plain_values_and_leaves_the_rest_as_text(text: str, value: Any) -> None:
    """Nothing is run, and nothing comes out that TOML or JSON could not hold."""
    found = TrainConfig.load(sets=[f"booster.any={text}"]).booster["any"]
    assert found == value
    assert type(found) is type(value)
    json.dumps(found)


# --- What is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["round=5"], r"unknown config key 'round'; did you mean 'rounds'\?"),
        (["boster.num_leaves=3"], r"unknown table in --set 'boster'; did you mean 'booster'\?"),
        (
            ["objective.trunc=3"],
            r"unknown parameter of objective blend: 'trunc'; did you mean 'truncation'",
        ),
        (["objective=lamdarank"], r"unknown objective 'lamdarank'; did you mean 'lambdarank'\?"),
        (["backend=lightgb"], r"unknown backend 'lightgb'; did you mean 'lightgbm'\?"),
        (["missing=Nan"], r"unknown missing 'Nan'; did you mean 'nan'\?"),
        (["empty=two"], r"unknown empty 'two' \(known: one, skip, zero\)"),
        (["ties=avg"], "unknown ties 'avg'"),
        (["rounds"], r"--set takes key=value, such as objective.truncation=20, got 'rounds'"),
        (["=5"], "--set takes key=value"),
        (["rounds=0"], "rounds must be an integer of at least 1, below 2.31, got 0"),
        (["rounds=10.5"], "rounds must be an integer of at least 1"),
        (["rounds=true"], "rounds must be an integer of at least 1"),
        (["early_stopping=-1"], "early_stopping must be an integer of at least 0"),
        (["seed=-1"], "seed must be an integer of at least 0"),
        (["seed=2147483648"], "seed must be an integer of at least 0, below 2.31"),
        (["threads=0"], "threads must be an integer of at least 1"),
        (["valid_fraction=1"], r"valid_fraction must be in \[0, 1\), got 1"),
        (["valid_fraction=half"], r"valid_fraction must be in \[0, 1\), got 'half'"),
        (["valid_fraction=nan"], r"valid_fraction must be in \[0, 1\)"),
        (["checkpoint_seconds=-1"], "checkpoint_seconds must be at least 0, got -1"),
        (["metric=5"], "metric must be a name, got 5"),
        (["objective=5"], "objective must be a name, got 5"),
        (["booster=5"], "booster must be a table of parameters"),
        (
            ["objective.margin=2", "objective.name=hinge", "objective.margin=x"],
            "margin must be a positive number, got 'x'",
        ),
        (
            ["objective=builtin", "objective.truncation=3"],
            r"objective builtin is the booster's own: set its parameters as booster.NAME \(got objective",
        ),
    ],
)
def test_what_cannot_be_a_run_is_refused_by_name(sets: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainConfig.load(sets=sets).resolved()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rounds = ", "run.toml is not TOML"),
        ("[objective]\nname = 3", "objective must be a name, got 3"),
        ("[lightgbm]\nnum_leaves = 3", "unknown config key 'lightgbm'"),
        ('booster = "dart"', "booster must be a table"),
    ],
)
def test_a_file_that_is_not_a_config_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainConfig.load(toml(tmp_path, text))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the config file .*none.toml: No such file"):
        TrainConfig.load(tmp_path / "none.toml")
    with pytest.raises(UsageError, match=r"cannot read the config file .*: Is a directory"):
        TrainConfig.load(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="is not TOML"):
        TrainConfig.load(tmp_path / "bytes.toml")


# --- Resolved ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sets",
    [
        [],
        ["backend=xgboost", "objective=hinge", "objective.margin=0.5", "booster.max_bin=15", "rounds=3"],
        ["objective=builtin", "booster.num_leaves=7", "missing=nan", "ties=file", "empty=skip"],
        ["objective=ranknet", "objective.truncation=none", "valid_fraction=0"],
    ],
)
def test_the_resolved_run_written_as_toml_is_the_same_run(tmp_path: Path, sets: list[str]) -> None:
    """A run can be repeated from what its manifest says."""
    config = TrainConfig.load(sets=sets)
    again = TrainConfig.load(toml(tmp_path, as_toml(config.resolved())))
    assert again.resolved() == config.resolved()
    spelled_out = {"objective_parameters": {}, "booster": {}, "query_fraction": None}
    assert replace(again, **spelled_out) == replace(config, **spelled_out)


def test_the_resolved_run_spells_out_every_parameter_of_the_objective() -> None:
    objective = TrainConfig.load(sets=["objective.truncation=5"]).resolved()["objective"]
    assert (objective["name"], objective["parts"]) == ("blend", ["lambdarank", "ranknet"])
    assert (objective["lambdarank"]["truncation"], objective["ranknet"]["truncation"]) == (5, 5)
    assert objective["lambdarank"]["gain"] == "exponential"


@pytest.mark.parametrize(
    ("objective", "builtin"), [("builtin", ""), ("builtin:rank_xendcg", "rank_xendcg"), ("lambdarank", None)]
)
def test_builtin_names_an_objective_of_the_booster(objective: str, builtin: str | None) -> None:
    assert TrainConfig(objective=objective).builtin == builtin


# --- Gain and discount ------------------------------------------------------------------------------


def test_the_run_s_gain_and_discount_reach_metrics_and_objective(tmp_path: Path) -> None:
    for config in (
        TrainConfig(gain="linear", discount="reciprocal"),
        TrainConfig.load(sets=["gain=linear", "discount=reciprocal"]),
        TrainConfig.load(toml(tmp_path, 'gain = "linear"\ndiscount = "reciprocal"')),
    ):
        worths = {"gain": "linear", "discount": "reciprocal"}
        assert config.conventions == {**worths, "empty": "zero", "ties": "average"}
        assert config.resolved()["objective"]["lambdarank"].items() >= worths.items()
        assert config.remarks() == []


def test_without_them_metrics_take_the_usual_and_objectives_their_own() -> None:
    assert TrainConfig().conventions["gain"] == "exponential"
    assert TrainConfig(objective="softmax").resolved()["objective"]["gain"] == "linear"
    assert (
        TrainConfig(objective="softmax", gain="exponential").resolved()["objective"]["gain"] == "exponential"
    )
    assert TrainConfig(objective="ranknet", gain="linear").conventions["gain"] == "linear"


def test_a_gain_may_be_a_table() -> None:
    for sets in (["gain=0,1,5"], ["gain=0,1,5", "objective.gain=0,1,5"]):
        config = TrainConfig.load(sets=sets)
        objective = config.resolved()["objective"]
        assert config.conventions["gain"] == objective["lambdarank"]["gain"] == [0, 1, 5]
    assert TrainConfig(gain=(0, 1, 5)) == TrainConfig(gain=[0, 1, 5])


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["gain=lin"], r"unknown gain 'lin'; did you mean 'linear'\?"),
        (["gain=5"], "gain must be a name, numbers, or FILE.py:FUNCTION"),
        (["discount=1,2"], "must not rise with the rank"),
        (["gain=linear", "objective.gain=exponential"], "objective.gain=exponential contradicts gain=linear"),
        (
            ["discount=log2", "objective.discount=1,0.5"],
            r"objective.discount=\[1, 0.5\] contradicts discount",
        ),
    ],
)
def test_a_gain_that_cannot_be_is_refused(sets: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainConfig.load(sets=sets)


def test_an_objective_of_another_gain_than_the_metrics_is_remarked_on() -> None:
    remarks = TrainConfig(objective_parameters={"gain": "linear"}).remarks()
    assert remarks == [
        "the objective learns with gain=linear, the metrics are measured with gain=exponential: "
        "--gain linear sets both"
    ]


# --- Categorical features ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "features"),
    [
        ("brand,3", ["brand", 3]),
        (" brand , 3,", ["brand", 3]),
        (3, [3]),
        ([1, "brand", 1], [1, "brand"]),
        ((), []),
        ("", []),
        (None, []),
    ],
)
def test_categorical_features_are_numbers_and_names(given: Any, features: list[Any]) -> None:
    assert TrainConfig(categorical=given).categorical == features


def test_categorical_features_come_from_set_and_toml(tmp_path: Path) -> None:
    for config in (
        TrainConfig.load(sets=["categorical=brand,3"]),
        TrainConfig.load(toml(tmp_path, 'categorical = ["brand", 3]')),
    ):
        assert config.resolved()["categorical"] == ["brand", 3]
    assert TrainConfig.load(sets=["categorical=2,3"]).categorical == [2, 3]


@pytest.mark.parametrize("given", [0, -1, True, 1.5, [[1]], {"a": 1}, [2, None]])
def test_what_is_no_feature_cannot_be_categorical(given: Any) -> None:
    with pytest.raises(UsageError, match=r"categorical takes feature numbers \(from 1\) and names"):
        TrainConfig(categorical=given)


def test_networks_know_no_categories() -> None:
    with pytest.raises(UsageError, match="categorical is for trees"):
        TrainConfig(backend="neural", categorical=[1])


def test_the_objective_is_made_once_and_by_what_decides_it() -> None:
    """The backend's parameters, below the run's gain, below what was asked for."""
    config = TrainConfig(
        backend="xgboost", objective="lambdarank", gain="linear", objective_parameters={"truncation": 7}
    )
    made = config.training_objective
    assert config.training_objective is made
    assert made == LambdaRank(hessian_scale=2.0, gain="linear", truncation=7)
    asked = replace(config, objective_parameters={"hessian_scale": 3.0})
    assert asked.training_objective == LambdaRank(hessian_scale=3.0, gain="linear")


def test_a_part_s_own_parameter_stands_above_what_is_usual_for_all() -> None:
    sets = ["backend=xgboost", "objective.ranknet.hessian_scale=3", "objective.shares=1,0.5"]
    told = TrainConfig.load(sets=sets).resolved()["objective"]
    assert (told["lambdarank"]["hessian_scale"], told["ranknet"]["hessian_scale"]) == (2, 3)
    assert told["shares"] == [1, 0.5]


@pytest.mark.parametrize("backend", ["lightgbm", "neural"])
def test_a_run_is_settled_by_its_training_lists(backend: str) -> None:
    data = random_lists(queries=5)
    config = TrainConfig(backend=backend, objective="blend", objective_parameters={"shares": [1, 0.5]})
    settled = config.settled(data)
    assert config.resolved()["objective"]["scales"] is None
    scales = Blend().fitted(data).scales
    assert scales is not None
    assert settled.resolved()["objective"]["scales"] == list(scales)
    assert settled.resolved()["objective"]["shares"] == [1, 0.5]
    assert settled.settled(random_lists(queries=3, seed=2)) == settled
    other = TrainConfig(backend=backend, objective="ranknet")
    assert other.settled(data) == other
