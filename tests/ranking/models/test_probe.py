"""The disposable child: whatever happens to it becomes an ArtifactError here."""

import dataclasses
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ranking.errors import ArtifactError
from ranking.models import probe as room
from ranking.models.folder import read_artifact
from ranking.models.probe import probe
from tests.ranking.models.small import KINDS, saved


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_model_passes(tmp_path: Path, kind: str) -> None:
    """The child opens it and scores the golden rows to the bit."""
    probe(read_artifact(saved(tmp_path / "model", kind)))


def test_what_the_child_says_against_a_model_is_the_error(tmp_path: Path) -> None:
    """Text cut short, on which LightGBM itself aborts or reads foreign memory; no check came before."""
    artifact = read_artifact(saved(tmp_path / "model"))
    cut = artifact.model[: artifact.model.index(b"Tree=1") + 200]
    cut_artifact = dataclasses.replace(artifact, contents={**artifact.contents, "model.txt": cut})
    with pytest.raises(ArtifactError, match=r"model\.txt: Tree=1: no tree of \d+ bytes"):
        probe(cut_artifact)


def test_other_golden_scores_are_an_error(tmp_path: Path) -> None:
    """The model of another kind of leaf values: every leaf of the first tree grows by a digit."""
    artifact = read_artifact(saved(tmp_path / "model"))
    changed = re.sub(
        rb"(?m)^shrinkage=1$", b"shrinkage=2", artifact.model.replace(b"leaf_value=0", b"leaf_value=3", 1)
    )
    assert changed != artifact.model
    broken = dataclasses.replace(artifact, contents={**artifact.contents, "model.txt": changed})
    with pytest.raises(ArtifactError, match=r"model\.txt: golden row \d+ scores"):
        probe(broken)


def _child(monkeypatch: pytest.MonkeyPatch, outcome: Any) -> None:
    """Let the child end as told, without starting one."""

    def run(*_: Any, **__: Any) -> Any:
        if isinstance(outcome, Exception):
            raise outcome
        return SimpleNamespace(returncode=outcome)

    monkeypatch.setattr(room.subprocess, "run", run)


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (subprocess.TimeoutExpired("child", 30), "did not end within 60 s"),
        (-9, "SIGKILL"),
        (-24, "SIGXCPU"),
        (1, "exit code 1"),
        (0, "exit code 0"),
    ],
    ids=["timeout", "killed", "cpu limit", "failed", "no verdict"],
)
def test_every_way_to_end_without_a_verdict_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: Any, reason: str
) -> None:
    """Time, signals, exit codes, and a child that says nothing."""
    artifact = read_artifact(saved(tmp_path / "model"))
    _child(monkeypatch, outcome)
    with pytest.raises(ArtifactError, match=rf"model\.txt: .*{reason}"):
        probe(artifact)
