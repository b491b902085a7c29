"""Checkpoints of a training run: what `--resume` continues from after a kill.

A folder beside the model folder. The model so far is written under the name of its hash, then the state that
names it replaces the old state, each by one rename, so that a kill at any moment leaves a usable pair.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ranking.data.atomic import replace_file, sweep
from ranking.errors import ArtifactError, UsageError

_STATE = "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """The model after `rounds` rounds and the values the watch had seen."""

    rounds: int
    model: bytes
    history: tuple[float, ...]
    """held-out metric after each round"""
    train_history: tuple[float, ...]


def folder_for(out: Path) -> Path:
    """The checkpoint folder of a run that writes its model to `out`."""
    return out.with_name(out.name + ".checkpoint")


def folder_of_member(folder: Path, number: int) -> Path:
    """Where a member of a run, counted from 1, keeps its own, in the run's checkpoint folder."""
    return folder / f"member-{number}"


def folder_of_part(folder: Path, name: str) -> Path:
    """Where a part of a run, trained by itself, keeps its own, in the run's checkpoint folder."""
    return folder / f"part-{name}"


@dataclass(frozen=True)
class Keeper:
    """Writes the checkpoints of one run."""

    folder: Path
    identity: Mapping[str, Any]
    """config and data: must be the same to resume"""

    def keep(self, checkpoint: Checkpoint) -> None:
        write_checkpoint(self.folder, checkpoint, self.identity)


def write_checkpoint(folder: Path, checkpoint: Checkpoint, identity: Mapping[str, Any]) -> None:
    """Replace the state in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(checkpoint.model).hexdigest()
    model = f"model-{digest[:16]}"
    replace_file(folder / model, checkpoint.model)
    state = {
        "rounds": checkpoint.rounds,
        "history": checkpoint.history,
        "train_history": checkpoint.train_history,
        "model": model,
        "sha256": digest,
        "identity": identity,
    }
    replace_file(folder / _STATE, json.dumps(state, indent=1).encode())
    sweep(folder)
    for old in folder.glob("model-*"):
        if old.name != model:
            old.unlink()


def read_checkpoint(folder: Path, identity: Mapping[str, Any]) -> Checkpoint | None:
    """The last state of the same run, or None where there is none.

    Raises UsageError where the checkpoint is of another config or other data, and ArtifactError where
    it is damaged.
    """
    if not (folder / _STATE).exists():
        return None
    try:
        state = json.loads((folder / _STATE).read_bytes())
        model = (folder / state["model"]).read_bytes()
        asked = json.loads(json.dumps(identity))  # as the state holds it: tuples are lists there
        other = {key for key in asked if state["identity"].get(key) != asked[key]}
        found = Checkpoint(state["rounds"], model, tuple(state["history"]), tuple(state["train_history"]))
        intact = hashlib.sha256(model).hexdigest() == state["sha256"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(
            f"the checkpoint {folder} is damaged ({error}): delete it and train again"
        ) from error
    if not intact:
        raise ArtifactError(
            f"the checkpoint {folder} is damaged (hash of {state['model']}): delete it and train again"
        )
    if other:
        raise UsageError(
            f"the checkpoint {folder} is of another run (different: {', '.join(sorted(other))}): "
            "resume with the same data and settings, or train without --resume"
        )
    return found


def drop_checkpoint(folder: Path) -> None:
    """Remove the checkpoint of a run that has ended; a folder with other files in it stays, with them."""
    if not folder.is_dir():
        return
    for part in (*folder.glob("member-*"), *folder.glob("part-*")):
        drop_checkpoint(part)
    sweep(folder)
    for file in folder.iterdir():
        if file.name.startswith((_STATE, "model-")):
            file.unlink()
    with suppress(OSError):
        folder.rmdir()
