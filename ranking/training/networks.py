"""The trainings that a run of networks is made of: a teacher's, then one for each form of inputs tried.

The teacher is a model of trees, of the same lists and with everything usual. The network learns its scores of
the training lists beside their labels: measured on MSRD, MQ2008 and generated lists, that is what lets it use
the piecewise-linear encoding without learning the training lists by heart (benchmarks/README.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ranking.data.arrays import Float32
from ranking.data.dataset import RankingDataset
from ranking.errors import DataError, UsageError
from ranking.models.ranker import score_dataset, spread_within_lists
from ranking.neural.settings import AUTO, TEACHERS
from ranking.training.checkpoint import folder_of_part
from ranking.training.config import TrainConfig
from ranking.training.single import Single, train_single
from ranking.training.watch import Course, Progress, Stop

TRIED = ("quantile", "encoded")
"""What `neural.inputs=auto` tries."""


@dataclass(frozen=True)
class NetworkRun:
    """All networks that were trained, and what they learned from."""

    tried: Sequence[Single]
    teacher: Single | None
    notes: tuple[str, ...]

    @property
    def kept(self) -> Single:
        """The best on the held-out lists; the first of equal ones."""
        return max(self.tried, key=lambda one: -np.inf if one.best_value is None else one.best_value)

    @property
    def course(self) -> Course:
        kept = self.kept.watch.course
        others = {one.config.network.inputs: one.watch.history for one in self.tried if one is not self.kept}
        return Course({**kept.curves, **others}, kept.best_round, kept.rounds)

    @property
    def failure(self) -> str | None:
        """Why a training could not go on, where one could not."""
        return next((one.watch.failure for one in self.tried if one.watch.failure), None)

    def facts(self) -> dict[str, Any]:
        """What the manifest says of them."""
        told: dict[str, Any] = {}
        if len(self.tried) > 1:
            told["tried"] = [
                {
                    "inputs": one.config.network.inputs,
                    "rounds": one.ranker.rounds,
                    "rounds_trained": one.watch.rounds,
                    "metrics": {"valid": {one.config.metric: one.best_value}},
                }
                for one in self.tried
            ]
        if self.teacher is not None:
            value = self.teacher.best_value
            told["taught_by"] = {
                "backend": self.teacher.config.backend,
                "objective": self.teacher.config.objective,
                "rounds": self.teacher.ranker.rounds,
                **({} if value is None else {"metrics": {"valid": {self.teacher.config.metric: value}}}),
            }
        return told


def train_networks(
    config: TrainConfig,
    data: RankingDataset,
    valid: RankingDataset | None,
    *,
    lessons: RankingDataset | None = None,
    stop: Stop | None = None,
    progress: Progress | None = None,
    folder: Path | None = None,
    identity: Mapping[str, Any] | None = None,
    resume: bool = False,
) -> NetworkRun:
    """Train what the config asks for; see `train_single` for the rest.

    A Ctrl-C in the teacher's training leaves a network of one epoch, in another one leaves out those that had
    not begun. Raises UsageError for a teacher beside an objective that learns one already and
    for a GPU that is not there, and what a training raises.
    """
    check_device(config)
    asked, stop = teacher_for(config, lessons), stop or Stop()
    means = _Means(stop, progress, folder, identity or {}, resume)
    teacher, notes = None, list[str]()
    if asked is not None:
        may_fail = config.network.teacher == AUTO
        teacher, notes = _taught(asked, data, valid, means, may_fail=may_fail)
    scores = None if teacher is None else _standard_scores(teacher, data)
    if teacher is not None and teacher.watch.interrupted:
        # What is learned from half a teacher is no state to go on from.
        means = means._replace(folder=None)
    forms = _forms(config, valid, teacher is not None)
    follow, tried = _Follow(progress, len(forms)), list[Single]()
    for number, form in enumerate(forms):
        if stop.asked and tried:
            break
        network = replace(
            config.network, inputs=form, teacher=None if teacher is None else teacher.config.backend
        )
        run = replace(config, neural=network)
        part = means._replace(progress=follow.of(number, form) if len(forms) > 1 else progress)
        tried.append(_part(f"inputs-{form}", run, data, valid, part, lessons=lessons, teacher=scores))
    found = NetworkRun(tried, teacher, ())
    return replace(found, notes=(*_told(found, resume), *notes, *found.kept.alarms))


def check_device(config: TrainConfig) -> None:
    """Raises UsageError for a GPU that is not there, before a teacher's training is spent on it."""
    from ranking.neural.fitting import device_of

    device_of(config.network)


class _Means(NamedTuple):
    """With what each training is done."""

    stop: Stop
    progress: Progress | None
    folder: Path | None
    identity: Mapping[str, Any]
    resume: bool


def _part(
    name: str,
    config: TrainConfig,
    data: RankingDataset,
    valid: RankingDataset | None,
    means: _Means,
    lessons: RankingDataset | None = None,
    teacher: Float32 | None = None,
) -> Single:
    folder = None if means.folder is None else folder_of_part(means.folder, name)
    return train_single(
        config, data, valid, lessons=lessons, teacher=teacher, stop=means.stop, progress=means.progress,
        folder=folder, identity={**means.identity, "part": name}, resume=means.resume,
    )  # fmt: skip


def teacher_for(config: TrainConfig, lessons: RankingDataset | None = None) -> TrainConfig | None:
    """The run of the teacher, or None for none. Raises UsageError for one beside a teacher's scores."""
    asked, loss = config.network.teacher, config.loss()
    taught = lessons is not None or loss.labels == "real"
    if asked == AUTO:
        installed = (name for name in TEACHERS if find_spec(name) is not None)
        asked = None if taught or loss.needs_positions else next(installed, None)
    if asked is None:
        return None
    if taught:
        raise UsageError(
            f"neural.teacher={asked} is learned beside labels, and this run learns a teacher's scores in "
            "their place: leave one of the two out"
        )
    return TrainConfig(
        backend=asked, metric=config.metric, seed=config.seed, threads=config.threads,
        missing=config.missing, gain=config.gain, discount=config.discount, empty=config.empty,
        ties=config.ties, checkpoint_seconds=config.checkpoint_seconds,
    )  # fmt: skip


def _taught(
    asked: TrainConfig, data: RankingDataset, valid: RankingDataset | None, means: _Means, *, may_fail: bool
) -> tuple[Single | None, list[str]]:
    """(the teacher, or None where trees find nothing and that may be, what to tell)."""
    told = means.progress
    if told is not None:
        words = f"teacher, {asked.backend} trees"
        means = means._replace(progress=lambda done, of, value, left: told(done, of, value, left, words))
    try:
        return _part("teacher", asked, data, valid, means), []
    except DataError as error:
        if not may_fail:
            raise
        return None, [f"the network has no teacher: {error}"]


def _standard_scores(teacher: Single, data: RankingDataset) -> Float32:
    """The teacher's scores of the lists it was trained on, with deviation 1 within lists."""
    scores = score_dataset(teacher.ranker, data)
    spread = spread_within_lists(scores, data.sizes) or 1.0
    return np.asarray(scores / spread, np.float32)


def _forms(config: TrainConfig, valid: RankingDataset | None, taught: bool) -> tuple[str, ...]:
    """The forms of inputs to try; without held-out lists the one that is safe.

    Cross layers grow with the square of the inputs' width, which the encoding makes 17 times as much.
    """
    if config.network.inputs != AUTO:
        return (config.network.inputs,)
    if config.network.cross:
        return ("quantile",)
    if valid is None:
        return ("encoded" if taught else "quantile",)
    return TRIED


class _Follow:
    """The progress of one network after the other, with the time that those to come will take too."""

    def __init__(self, progress: Progress | None, networks: int) -> None:
        self._progress, self._networks = progress, networks
        self._an_epoch = 0.0

    def of(self, number: int, form: str) -> Progress | None:
        if self._progress is None:
            return None
        told, to_come = self._progress, self._networks - number - 1

        def note(done: int, of: int, value: float | None, left: float) -> None:
            if done < of:
                self._an_epoch = left / (of - done)
            told(
                done, of, value, left + to_come * of * self._an_epoch,
                f"inputs {form}, network {number + 1} of {self._networks}",
            )  # fmt: skip

        return note


def _told(run: NetworkRun, resume: bool) -> list[str]:
    """What to tell of the parts."""
    notes = []
    if resume:
        parts = [("the teacher", run.teacher), *((f"inputs {o.config.network.inputs}", o) for o in run.tried)]
        notes += [f"{name}: {text}" for name, part in parts if part is not None for text in part.resumed]
    kept = run.kept.config.network
    if run.teacher is not None:
        notes.append(
            f"{kept.teacher_share:.0%} of what the network learns are the scores of a {kept.teacher} model "
            f"of {run.teacher.ranker.rounds} trees, trained first (neural.teacher=none: of labels alone)"
        )
    if len(run.tried) > 1:
        values = ", ".join(f"{o.config.network.inputs} {o.best_value:.4f}" for o in run.tried)
        notes.append(
            f"kept inputs {kept.inputs}, by {run.kept.config.metric} on the held-out lists: {values}"
        )
    return notes
