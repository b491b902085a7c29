"""`rankwright losses`."""

from __future__ import annotations

from pathlib import Path

import pytest

from ranking.losses import LOSSES
from ranking.losses.classification import CLASSIFICATION_LOSSES
from ranking.losses.embedding import EMBEDDING_LOSSES, PAIR_LOSSES
from tests.ranking.cli.conftest import Cli

EVERY = {**LOSSES, **EMBEDDING_LOSSES, **PAIR_LOSSES, **CLASSIFICATION_LOSSES}


def test_the_list_has_every_loss_once(cli: Cli) -> None:
    found = cli("losses", "--json").json["losses"]
    assert [entry["name"] for entry in found] == list(EVERY)
    assert all(entry["formula"] for entry in found)
    text = cli("losses").out
    assert all(f"  {name}" in text for name in EVERY)


@pytest.mark.parametrize("name", EVERY)
def test_each_is_explained(cli: Cli, name: str) -> None:
    assert len(cli("losses", "show", name, "--json").json["documentation"]) > 40
    assert cli("losses", "show", name).out.startswith(name)


def test_parameters_are_set_and_shown(cli: Cli) -> None:
    shown = cli("losses", "show", "softmax", "--json").json["parameters"]
    name, value = next(iter(shown.items()))
    changed = cli("losses", "show", "softmax", "--set", f"{name}={value}", "--json").json["parameters"]
    assert changed == shown
    refused = cli("losses", "show", "softmax", "--set", "nothing=1")
    assert refused.code == 2
    assert "nothing" in refused.err


def test_an_unknown_name_is_answered_with_a_near_one(cli: Cli) -> None:
    ran = cli("losses", "show", "tripplet")
    assert ran.code == 2
    assert "triplet" in ran.err


def test_a_sound_loss_is_certified(cli: Cli) -> None:
    found = cli("losses", "check", "softmax", "--json").json
    assert found["passed"]
    assert all(check["passed"] for check in found["checks"].values())


def test_an_unsound_loss_of_ones_own_is_named_and_ends_in_5(cli: Cli, tmp_path: Path) -> None:
    """log(1 + exp) as it is written by hand overflows, and padding counts."""
    (tmp_path / "mine.py").write_text(
        "import torch\n\n\ndef naive(scores, labels, where):\n"
        "    d = scores[..., :, None] - scores[..., None, :]\n"
        "    better = labels[..., :, None] > labels[..., None, :]\n"
        "    return (torch.log(1 + torch.exp(-d)) * better).sum()\n"
    )
    ran = cli("losses", "check", f"{tmp_path / 'mine.py'}:naive", "--json")
    assert ran.code == 5
    failed = {name for name, check in ran.object["checks"].items() if not check["passed"]}
    assert len(failed) >= 2
    assert cli("losses", "check", f"{tmp_path / 'mine.py'}:naive").code == 5
