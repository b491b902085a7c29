"""`rankwright tune`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ranking.cli.conftest import Cli

pytest.importorskip("optuna")

FEW = ("--rounds", 3, "--threads", 1)


def test_tune_writes_a_config_that_train_takes(cli: Cli, tmp_path: Path, judged: Path) -> None:
    out = tmp_path / "search"
    found = cli("tune", judged, "--out", out, "--trials", 3, "--objective", "ranknet", *FEW, "--json").json
    assert found["trials"] == 3
    assert found["best"]["config"]["objective"]["name"] == "ranknet"
    assert found["best"]["value"] >= found["default"]["value"]
    assert found["difference"].keys() == {"mean", "interval", "p"}
    trained = cli("train", judged, "--config", out / "best.toml", "--out", tmp_path / "model", "--json").json
    assert trained["objective"] == "ranknet"
    assert trained["rounds"] <= 3


def test_tune_says_how_it_goes_and_what_it_found(cli: Cli, tmp_path: Path, judged: Path) -> None:
    ran = cli("tune", judged, "--out", tmp_path, "--trials", 2, "--objective", "xendcg", *FEW)
    assert ran.code == 0
    assert "trial 1/2  fold 1/3" in ran.err
    assert "best     ndcg@10 0." in ran.out
    assert "gain     " in ran.out
    assert f"config  {tmp_path / 'best.toml'}" in ran.out
    again = cli("tune", judged, "--out", tmp_path, "--trials", 3, "--objective", "xendcg", *FEW, "-q")
    assert again.out.startswith("3 trials")
    assert again.err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--time", "soon"), "--time takes a duration such as 90s, 10m or 2h"),
        (("--objective", "builtin"), "is the booster's own"),
        (("--objective", "lambdarank,ranknt"), "did you mean 'ranknet'"),
        (("--set", "booster.num_leaves=1"), "num_leaves"),
    ],
)
def test_wrong_arguments(
    cli: Cli, tmp_path: Path, judged: Path, arguments: tuple[str, ...], message: str
) -> None:
    ran = cli("tune", judged, "--out", tmp_path, "--trials", 1, *arguments)
    assert ran.code in (2, 4)
    assert message in ran.err


def test_a_config_file_fixes_what_it_says(cli: Cli, tmp_path: Path, judged: Path) -> None:
    file = tmp_path / "fixed.toml"
    file.write_text('rounds = 3\nthreads = 1\n[objective]\nname = "hinge"\n[booster]\nnum_leaves = 5\n')
    found = cli("tune", judged, "--out", tmp_path, "--trials", 2, "--config", file, "--json").json
    assert found["best"]["config"]["objective"]["name"] == "hinge"
    assert found["best"]["config"]["booster"]["num_leaves"] == 5
