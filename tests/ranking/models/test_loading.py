"""Opening a model folder: every kind of damage ends in an error, and a sound model opens as it was."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ranking.errors import ArtifactError
from ranking.models import loading
from ranking.models.loading import load_ranker
from ranking.models.ranker import Ranker
from ranking.models.verifying import verify
from ranking.trees import ranker as ranker_room
from ranking.trees.ranker import TreeRanker
from ranking.trees.reading import read_forest
from tests.ranking.models.small import (
    KINDS,
    changed_manifest,
    model_of,
    ranker_of,
    rewrite,
    rows,
    saved,
)

MODEL_FILE = {"lightgbm": "model.txt", "xgboost": "model.ubj"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_ranker_scores_and_explains_as_before(tmp_path: Path, kind: str) -> None:
    """To the bit."""
    before = ranker_of(kind)
    after: Ranker = load_ranker(saved(tmp_path / "model", kind))
    assert (after.kind, after.feature_count, after.feature_names, after.missing) == (
        kind,
        4,
        before.feature_names,
        "nan",
    )
    np.testing.assert_array_equal(after.score(rows()), before.score(rows()))
    np.testing.assert_array_equal(after.contributions(rows()), before.contributions(rows()))


_OPEN_EACH = """
import sys
from pathlib import Path
from ranking.errors import ArtifactError
from ranking.models.loading import load_ranker
from tests.ranking.models.small import damaged, model_of, rewrite
folder, kind, file = Path(sys.argv[1]), *sys.argv[2:]
for seed in range(200):
    rewrite(folder, file, damaged(model_of(kind), seed))
    print(seed, file=sys.stderr, flush=True)
    try:
        load_ranker(folder)
    except ArtifactError as error:
        print("golden row" if "golden row" in str(error) else "read" if str(folder) in str(error) else error)
    else:
        print("opened")
"""


@pytest.mark.parametrize("kind", KINDS)
def test_an_attacker_who_owns_the_manifest_gets_an_error_or_a_sound_model(tmp_path: Path, kind: str) -> None:
    """Of 200 damages nearly all fail when they are read; none ends the process that loads them.

    With LightGBM or XGBoost, most of these do.
    """
    folder = saved(tmp_path / "model", kind)
    command = [sys.executable, "-c", _OPEN_EACH, str(folder), kind, MODEL_FILE[kind]]
    child = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert child.returncode == 0, child.stderr[-300:]
    found = Counter(child.stdout.splitlines())
    assert found.keys() <= {"read", "golden row", "opened"}
    assert found.total() == 200
    assert 5 < found["golden row"] + found["opened"] < 70


def test_a_model_that_our_own_code_reads_is_read_once_and_by_no_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reading is the check."""

    def never(*_: Any, **__: Any) -> None:
        pytest.fail("a second look")

    readings = []

    def counted(*given: Any) -> Any:
        readings.append(given)
        return read_forest(*given)

    folder = saved(tmp_path / "model")
    monkeypatch.setattr(loading, "run_probe", never)
    monkeypatch.setattr(loading, "check_model", never)
    monkeypatch.setattr(ranker_room, "read_forest", counted)
    load_ranker(folder)
    assert len(readings) == 1


def _foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a foreign library open LightGBM models, as far as the table says."""
    monkeypatch.setitem(loading.KINDS, "lightgbm", replace(loading.KINDS["lightgbm"], foreign=True))


def test_the_child_stands_between_the_structure_and_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the child refuses is never opened here, and what is not sound not even there."""

    def refusing(_: Any) -> None:
        raise ArtifactError("the child died")

    def never(*_: Any, **__: Any) -> None:
        pytest.fail("opened in this process")

    _foreign(monkeypatch)
    folder = saved(tmp_path / "model")
    monkeypatch.setattr(loading, "run_probe", refusing)
    monkeypatch.setattr(TreeRanker, "from_bytes", never)
    with pytest.raises(ArtifactError, match="the child died"):
        load_ranker(folder)
    rewrite(folder, "model.txt", model_of("lightgbm").replace(b"left_child=", b"left_child=9", 1))
    with pytest.raises(ArtifactError, match=r"model\.txt: Tree=0"):
        load_ranker(folder)


@pytest.mark.parametrize("probe", [True, False])
def test_a_foreign_kind_opens_with_and_without_a_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probe: bool
) -> None:
    _foreign(monkeypatch)
    ranker = load_ranker(saved(tmp_path / "model"), probe=probe)
    np.testing.assert_array_equal(ranker.score(rows()), ranker_of("lightgbm").score(rows()))


def _other_golden_scores(folder: Path) -> None:
    with np.load(folder / "golden.npz") as golden:
        features, scores = golden["features"], golden["scores"]
    with (folder / "other.npz").open("wb") as file:
        np.savez(file, features=features, scores=scores + np.float32(1))
    rewrite(folder, "golden.npz", (folder / "other.npz").read_bytes())


def test_other_golden_scores_are_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    _other_golden_scores(folder)
    with pytest.raises(ArtifactError, match=r"model\.txt: golden row 0 scores"):
        load_ranker(folder)


def test_an_unknown_kind_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    """A newer release may know more."""
    folder = saved(tmp_path / "model")
    changed_manifest(folder, {"kind": "catboost"})
    with pytest.raises(ArtifactError, match=r"unknown kind of model 'catboost' \(known: .*lightgbm"):
        load_ranker(folder)


def _outcome(folder: Path) -> dict[str, bool | str]:
    return {
        check.name: "skipped" if check.detail.startswith("skipped because") else check.ok
        for check in verify(folder)
    }


def test_verify_names_the_first_check_that_fails_and_skips_the_rest(tmp_path: Path) -> None:
    """It never raises."""
    folder = saved(tmp_path / "model")
    assert _outcome(folder) == dict.fromkeys(("manifest", "hashes", "structure", "probe", "golden"), True)
    (folder / "model.txt").write_bytes(model_of("lightgbm")[:-1])
    rest = {"structure": "skipped", "probe": "skipped", "golden": "skipped"}
    assert _outcome(folder) == {"manifest": True, "hashes": False} | rest
    rewrite(folder, "model.txt", model_of("lightgbm").replace(b"left_child=", b"left_child=9", 1))
    assert _outcome(folder) == {"manifest": True, "hashes": True} | rest | {"structure": False}
    rewrite(folder, "model.txt", model_of("lightgbm"))
    _other_golden_scores(folder)
    assert _outcome(folder)["probe"] is False
    (folder / "manifest.json").write_text("{")
    assert _outcome(folder) == {"manifest": False, "hashes": "skipped"} | rest
    assert _outcome(tmp_path / "nowhere")["manifest"] is False


def test_the_room_opens_no_booster_until_a_model_is_loaded() -> None:
    """Importing it loads neither library."""
    heavy = "{'lightgbm', 'xgboost', 'numba', 'torch', 'pandas'}"
    code = f"import sys, ranking.models.loading, ranking.models.registry; print({heavy} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
