"""`rankwright inspect` and `verify`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ranking.models.folder import read_manifest
from ranking.trees.backends import BACKENDS
from tests.ranking.cli.conftest import Cli
from tests.ranking.models.small import changed_manifest


@pytest.mark.parametrize("backend", BACKENDS)
def test_inspect_says_what_a_model_is(cli: Cli, trained: dict[str, Path], backend: str) -> None:
    found = cli("inspect", trained[backend], "--json").json
    assert (found["kind"], found["feature_count"], found["missing"]) == (backend, 4, "zero")
    assert found["objective"]["name"] == "blend"
    assert found["metrics"]["valid"]["ndcg@10"] > 0
    gains = list(found["importance"].values())
    assert gains == sorted(gains, reverse=True)
    text = cli("inspect", trained[backend]).out
    assert f"kind       {backend}" in text
    assert "features   4, an absent one is zero" in text
    assert "share of gain" in text


def test_verify_lists_every_check(cli: Cli, model: Path) -> None:
    found = cli("verify", model, "--json").json
    assert found["ok"] is True
    assert [check["name"] for check in found["checks"]] == [
        "manifest",
        "hashes",
        "structure",
        "probe",
        "golden",
    ]
    assert cli("verify", model).out.count(" ok ") == 5


def test_verify_of_a_damaged_model_ends_with_5(cli: Cli, damaged: Path) -> None:
    """The hash was made to fit; the structure gives it away, and what comes after is not tried."""
    ran = cli("verify", damaged, "--json")
    assert ran.code == 5
    assert f"rankwright: {damaged} did not verify: do not serve it; train or fetch it again" in ran.err
    assert ran.object["ok"] is False
    states = {check["name"]: check["ok"] for check in ran.object["checks"]}
    assert states == {"manifest": True, "hashes": True, "structure": False, "probe": False, "golden": False}
    assert "FAILED" in cli("verify", damaged).out


def test_verify_says_what_is_not_protected_and_reseals_it(cli: Cli, tmp_path: Path, model: Path) -> None:
    """A folder of format 1 passes; sealed, it is the folder of format 2; a damaged one is not sealed."""
    folder = shutil.copytree(model, tmp_path / "older")
    content = (folder / "manifest.json").read_bytes()
    changed_manifest(folder, {}, sealed=False)
    ran = cli("verify", folder, "--json")
    assert (ran.code, ran.json["ok"], ran.json["sealed"]) == (0, True, False)
    assert "not protected by a hash" in ran.json["checks"][0]["detail"]
    assert "--reseal" in ran.json["checks"][0]["detail"]
    golden = (folder / "golden.npz").read_bytes()
    (folder / "golden.npz").write_bytes(b"x")
    assert cli("verify", folder, "--reseal").code == 5
    assert not read_manifest(folder).sealed
    (folder / "golden.npz").write_bytes(golden)
    assert "sealed: its manifest now holds its own hash" in cli("verify", folder, "--reseal").out
    assert (folder / "manifest.json").read_bytes() == content
    assert "it is sealed already" in cli("verify", folder, "--reseal").out
    assert cli("verify", folder, "--json").json["sealed"] is True


def test_a_published_version_is_not_resealed(cli: Cli, tmp_path: Path, model: Path) -> None:
    """The registry remembers its manifest."""
    folder = shutil.copytree(model, tmp_path / "older")
    changed_manifest(folder, {}, sealed=False)
    cli("publish", folder, "--registry", tmp_path / "registry", "--name", "movies")
    version = tmp_path / "registry/movies/versions/1"
    assert "not protected" not in cli("verify", version).out
    ran = cli("verify", version, "--reseal")
    assert ran.code == 2
    assert "seal the folder it was published from" in ran.err
    changed_manifest(version, {"missing": "nan"}, sealed=False)
    assert cli("verify", version).code == 5


def test_a_folder_that_is_no_model_does_not_verify(cli: Cli, tmp_path: Path) -> None:
    ran = cli("verify", tmp_path, "--json")
    assert ran.code == 5
    assert "no manifest.json" in ran.object["checks"][0]["detail"]
    inspected = cli("inspect", tmp_path, "--json")
    assert (inspected.code, inspected.out) == (4, "")
