"""Checkpoints: a kill at any moment leaves a whole one, and a wrong one is refused by name."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ranking.errors import ArtifactError, UsageError
from ranking.training.checkpoint import (
    Checkpoint,
    drop_checkpoint,
    folder_for,
    read_checkpoint,
    write_checkpoint,
)

RUN: dict[str, Any] = {"seed": 1, "objective": {"name": "hinge", "margin": 1.0}, "train data": "sha256:1"}
FIRST = Checkpoint(1, b"model of round 1", (0.5,), ())
SECOND = Checkpoint(2, b"model of round 2", (0.5, 0.625), (0.25,))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model.checkpoint"


def test_the_folder_lies_beside_the_model() -> None:
    assert folder_for(Path("models/movies.v1")) == Path("models/movies.v1.checkpoint")


def test_a_checkpoint_reads_back_as_it_was_written(folder: Path) -> None:
    write_checkpoint(folder, FIRST, RUN)
    write_checkpoint(folder, SECOND, RUN)
    assert read_checkpoint(folder, RUN) == SECOND
    assert len(list(folder.iterdir())) == 2, "the older model is gone"


def test_there_is_none_before_the_first_and_after_the_end(folder: Path) -> None:
    assert read_checkpoint(folder, RUN) is None
    write_checkpoint(folder, FIRST, RUN)
    drop_checkpoint(folder)
    assert read_checkpoint(folder, RUN) is None
    drop_checkpoint(folder)


@pytest.mark.parametrize("second", [SECOND, FIRST], ids=["other model", "same model"])
@pytest.mark.parametrize("at", range(1, 7))
def test_a_kill_at_any_write_leaves_a_whole_checkpoint(
    folder: Path, monkeypatch: pytest.MonkeyPatch, at: int, second: Checkpoint
) -> None:
    """Killed before, in the middle of, and after each of the two files; then written once more."""
    write_checkpoint(folder, FIRST, RUN)
    steps = iter(range(1, 7))

    def fsync(descriptor: int) -> None:
        if next(steps) == at:
            os.truncate(descriptor, 3)
            raise KeyboardInterrupt
        if next(steps) == at:
            raise KeyboardInterrupt

    real = Path.replace

    def replace(file: Path, target: Path) -> Path:
        moved = real(file, target)
        if next(steps) == at:
            raise KeyboardInterrupt
        return moved

    with monkeypatch.context() as broken:
        broken.setattr("ranking.data.atomic.os.fsync", fsync)
        broken.setattr(Path, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            write_checkpoint(folder, second, RUN)
    assert read_checkpoint(folder, RUN) == (second if at == 6 else FIRST)
    write_checkpoint(folder, SECOND, RUN)
    assert read_checkpoint(folder, RUN) == SECOND
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 2}, "different: seed"),
        ({"objective": {"name": "hinge", "margin": 2.0}}, "different: objective"),
        ({"train data": "sha256:2", "seed": 3}, "different: seed, train data"),
        ({"rounds": 9}, "different: rounds"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_by_what_differs(
    folder: Path, change: dict[str, Any], named: str
) -> None:
    write_checkpoint(folder, FIRST, RUN)
    with pytest.raises(UsageError, match=named):
        read_checkpoint(folder, RUN | change)


def test_a_tuple_in_the_config_is_the_list_that_was_kept(folder: Path) -> None:
    write_checkpoint(folder, FIRST, RUN | {"booster": {"monotone_constraints": (1, 0)}})
    assert read_checkpoint(folder, RUN | {"booster": {"monotone_constraints": (1, 0)}}) == FIRST


def altered(state: dict[str, Any]) -> dict[str, bytes | None]:
    """Files to replace (or, with None, to remove), by what is wrong with them."""
    return {
        "model": b"model of round 9",
        "state": b'{"rounds": 1',
        "list": b"[]",
        "keys": b"{}",
        "gone": None,
        "nulls": json.dumps(dict.fromkeys(state)).encode(),
    }


@pytest.mark.parametrize("what", list(altered({})))
def test_a_damaged_checkpoint_is_named_with_what_to_do(folder: Path, what: str) -> None:
    write_checkpoint(folder, FIRST, RUN)
    state = json.loads((folder / "state.json").read_text())
    content = altered(state)[what]
    file = folder / (state["model"] if what in ("model", "gone") else "state.json")
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"model.checkpoint is damaged .*: delete it and train again"):
        read_checkpoint(folder, RUN)


def test_files_of_anybody_else_outlive_a_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "model.checkpoint"
    write_checkpoint(folder, Checkpoint(1, b"model", (), ()), {})
    (folder / "notes").write_text("mine")
    drop_checkpoint(folder)
    assert [file.name for file in folder.iterdir()] == ["notes"]
    drop_checkpoint(tmp_path / "absent")
