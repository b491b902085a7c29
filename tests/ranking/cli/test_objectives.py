"""`rankwright objectives`."""

from __future__ import annotations

from pathlib import Path

import pytest

from ranking.objectives import OBJECTIVES, objective_named
from ranking.training.written import flattened
from tests.ranking.cli.conftest import Cli

WRONG_SIGN = """
def loss(d):
    return (1.0 - d) ** 2

def gradient(d):
    return 2.0 * (1.0 - d)
"""


def test_the_list_has_every_member_with_formula_and_source(cli: Cli) -> None:
    text = cli("objectives").out
    for name, objective in OBJECTIVES.items():
        assert f"{name}  ({objective.family}, {objective.hessian} hessian" in text
        assert objective.formula in text
        assert objective.source in text


def test_the_list_as_json_has_facts_and_parameters(cli: Cli) -> None:
    found = {one["name"]: one for one in cli("objectives", "--json").json["objectives"]}
    assert found.keys() == OBJECTIVES.keys()
    assert found["lambdarank"]["parameters"]["truncation"] == 30
    assert found["hinge"]["hessian"] == "surrogate"


@pytest.mark.parametrize("name", [*OBJECTIVES, "gumbel:ranknet"])
def test_show_explains_one(cli: Cli, name: str) -> None:
    text, objective = cli("objectives", "show", name).out, objective_named(name)
    assert text.startswith(f"{name}\n\n")
    assert f"{objective.formula}\n" in text
    assert f"source: {objective.source}\n" in text
    assert all(f"\n{key} " in text for key, _ in flattened(objective.parameters()))


def test_show_takes_parameters(cli: Cli) -> None:
    assert (
        cli("objectives", "show", "lambdarank", "--set", "truncation=7", "--json").json["parameters"][
            "truncation"
        ]
        == 7
    )
    wrong = cli("objectives", "show", "lambdarank", "--set", "objective.trunctaion=7")
    assert wrong.code == 2
    assert "did you mean 'truncation'" in wrong.err


def test_check_prints_a_certificate(cli: Cli) -> None:
    ran = cli("objectives", "check", "softmax")
    assert ran.code == 0
    assert "all checks passed" in ran.out
    assert cli("objectives", "check", "softmax", "--json").json["checks"]["gradient"]["passed"] is True


def test_check_of_a_wrong_file_fails_with_5_and_still_shows_the_certificate(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "wrong.py"
    file.write_text(WRONG_SIGN)
    ran = cli("objectives", "check", file, "--set", "truncation=20")
    assert ran.code == 5
    assert "FAIL  gradient" in ran.out
    assert "does not pass the loss doctor" in ran.err


def test_a_torch_loss_is_examined_as_it_would_train_trees(cli: Cli) -> None:
    ran = cli("objectives", "check", "torch:calibrated", "--json")
    assert ran.code == 0
    assert ran.json["hessian"] == "surrogate"
    assert ran.json["checks"]["gradient"]["passed"] is True
    assert ran.json["checks"]["torch padding"]["passed"] is True
    twin = cli("objectives", "check", "torch:ranknet")
    assert twin.code == 0
    assert "ok    torch far scores" in twin.out
    assert "temperature" in cli("objectives", "show", "torch:approx_map", "--set", "truncation=3").out


def test_unknown_names_are_named(cli: Cli) -> None:
    ran = cli("objectives", "check", "lamdarank")
    assert ran.code == 2
    assert "did you mean 'lambdarank'" in ran.err
