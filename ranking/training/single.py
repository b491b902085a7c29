"""One training with checkpoints of its own: a run, or a part of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ranking.data.arrays import Float32
from ranking.data.dataset import RankingDataset
from ranking.training.checkpoint import Checkpoint, Keeper, read_checkpoint
from ranking.training.config import TrainConfig
from ranking.training.trainers import Task, Trained, trainer_of
from ranking.training.watch import Progress, RunWatch, Stop


@dataclass(frozen=True)
class Single:
    """What it gave."""

    config: TrainConfig
    """with what the objective took from the training lists"""
    ranker: Trained
    watch: RunWatch
    resumed: tuple[str, ...]
    """what became of a checkpoint that was asked for"""
    alarms: tuple[str, ...]

    @property
    def best_value(self) -> float | None:
        """The metric of the round that was kept on the held-out lists."""
        best = self.watch.best_round
        return None if best is None else self.watch.history[best - 1]


def train_single(
    config: TrainConfig,
    data: RankingDataset,
    valid: RankingDataset | None,
    *,
    lessons: RankingDataset | None = None,
    teacher: Float32 | None = None,
    stop: Stop | None = None,
    progress: Progress | None = None,
    folder: Path | None = None,
    identity: Mapping[str, Any] | None = None,
    resume: bool = False,
) -> Single:
    """Train on these lists.

    `lessons` are the same lists with what is learned of them, where that is not their labels; `teacher`
    scores that are learned beside it. Checkpoints are kept in `folder`, none without one, and `resume` goes
    on from there. Raises what a training raises.
    """
    lessons = data if lessons is None else lessons
    config = config.settled(lessons)
    keeper = None if folder is None else Keeper(folder, identity or {})
    checkpoint, resumed = None, list[str]()
    if resume and keeper is not None:
        checkpoint, resumed = _to_resume(config, keeper)
    watch = RunWatch(config, config.watched, data, valid, progress, keeper, checkpoint, stop)
    trainer = trainer_of(config)
    ranker = trainer.fit(Task(config, lessons, valid, watch, checkpoint, teacher))
    return Single(config, ranker, watch, tuple(resumed), trainer.alarms(ranker))


def _to_resume(config: TrainConfig, keeper: Keeper) -> tuple[Checkpoint | None, list[str]]:
    """The checkpoint to continue from, or None with the reason for starting over."""
    checkpoint = read_checkpoint(keeper.folder, keeper.identity)
    if checkpoint is None:
        return None, ["no checkpoint to resume from: started at round 0"]
    state = trainer_of(config).unrestorable(config)
    if state is not None:
        return None, [f"{config.backend} cannot restore the state of {state}: started at round 0"]
    return checkpoint, [f"resumed after round {checkpoint.rounds}"]
