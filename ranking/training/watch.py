"""What happens after each round of a training run: held-out metric, early stop, progress, checkpoint."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ranking.data.arrays import Float64
from ranking.data.dataset import RankingDataset
from ranking.metrics import Metric
from ranking.training.checkpoint import Checkpoint, Keeper
from ranking.training.config import TrainConfig

Progress = Callable[..., None]
"""Called with (round, rounds at most, held-out metric or None, seconds left at most) after each round; of a
run with members, whose rounds are added up, also with how many have ended, in words."""

_log = logging.getLogger(__name__)


class Stop:
    """What Ctrl-C asks for: every watch that shares it ends its run after the current round."""

    asked = False


@dataclass(frozen=True)
class Course:
    """How a training went.

    curves       the metric after each round, by the name of what it was measured on
    best_round   which is marked in them
    rounds       trained, over all members
    """

    curves: Mapping[str, Sequence[float]]
    best_round: int | None
    rounds: int


class RunWatch:
    """The memory of one run.

    history        held-out metric after each round
    train_history  the metric on as many training queries, after each round but the last
    best_round     the first round with the highest held-out value, for trees of `smoothed` values; None
                   without held-out lists
    rounds         rounds trained, the `first` of them before a checkpoint
    stop           asks for an end after the current round
    failure        why the run could not go on, where it could not
    """

    def __init__(
        self,
        config: TrainConfig,
        metric: Metric,
        data: RankingDataset,
        valid: RankingDataset | None,
        progress: Progress | None,
        keeper: Keeper | None,
        checkpoint: Checkpoint | None,
        stop: Stop | None = None,
    ) -> None:
        self.history: list[float] = []
        self.train_history: list[float] = []
        self.rounds = self.first = 0
        self.stop = stop or Stop()
        self.failure: str | None = None
        if checkpoint is not None:
            self.history, self.train_history = list(checkpoint.history), list(checkpoint.train_history)
            self.rounds = self.first = checkpoint.rounds
        self._config, self._progress, self._keeper = config, progress, keeper
        self._evaluate = None if valid is None else metric.evaluator(valid)
        self._evaluate_train = None
        if keeper is not None and valid is not None:
            self._evaluate_train = _sampled_evaluator(metric, data, valid.query_count)
        self._started = self._saved = time.monotonic()

    @property
    def interrupted(self) -> bool:
        return self.stop.asked

    @property
    def course(self) -> Course:
        curves = {"valid": self.history, "train": self.train_history}
        measured = {name: values for name, values in curves.items() if values}
        return Course(measured, self.best_round, self.rounds)

    @property
    def best_round(self) -> int | None:
        if not self.history:
            return None
        return int(np.argmax(smoothed(self.history, self._config.smoothing))) + 1

    @property
    def wants_train_scores(self) -> bool:
        return self._evaluate_train is not None

    def see_train_scores(self, scores: Any) -> None:
        """The training scores before a round, that is, after the round before it."""
        if self._evaluate_train is not None and self.rounds > len(self.train_history):
            self.train_history.append(self._evaluate_train(scores))

    def __call__(self, rounds: int, valid_scores: Any, snapshot: Callable[[], bytes]) -> bool:
        """Take note of a round; True ends the run."""
        self.rounds = rounds
        if self._evaluate is not None:
            self.history.append(self._evaluate(valid_scores))
        self._report()
        due = time.monotonic() - self._saved >= self._config.checkpoint_seconds
        if self._keeper is not None and (due or self.interrupted or self.finished):
            state = Checkpoint(self.rounds, snapshot(), tuple(self.history), tuple(self.train_history))
            self._keep(state, self._keeper)
            self._saved = time.monotonic()
        return self.interrupted or self.finished

    def fail(self, reason: str, snapshot: bytes) -> None:
        """The run cannot go on: it ends as if it were interrupted, its state after the last round kept."""
        self.failure, self.stop.asked = reason, True
        if self._keeper is not None:
            state = Checkpoint(self.rounds, snapshot, tuple(self.history), tuple(self.train_history))
            self._keep(state, self._keeper)

    def _keep(self, state: Checkpoint, keeper: Keeper) -> None:
        """Keep a checkpoint; a disk that is full does not end the run, which goes on without any."""
        try:
            keeper.keep(state)
        except OSError as error:
            self._keeper = None
            _log.warning(
                "cannot write the checkpoint %s (%s): the run goes on without", keeper.folder, error.strerror
            )

    @property
    def finished(self) -> bool:
        """No round is left, or early stopping's patience with the values as they are is at its end."""
        patience = self._config.early_stopping
        stale = patience and self.history and len(self.history) - np.argmax(self.history) > patience
        return bool(stale) or self.rounds >= self._config.rounds

    def _report(self) -> None:
        if self._progress is None:
            return
        spent = (time.monotonic() - self._started) / (self.rounds - self.first)
        value = self.history[-1] if self.history else None
        self._progress(self.rounds, self._config.rounds, value, spent * (self._config.rounds - self.rounds))


def smoothed(values: Sequence[float], window: int) -> Float64:
    """The centred mean over `window` values, an odd number, or over as many as there are; float64 [values].

    Before the first and behind the last value stand more of the same. One round's value is a lucky one where
    held-out queries are few: the best of 500 is chosen for its luck.
    """
    curve = np.asarray(values, np.float64)
    half = min(window // 2, (len(curve) - 1) // 2)
    if half == 0:
        return curve
    total = np.cumsum(np.pad(curve, (half + 1, half), "edge"))
    return (total[2 * half + 1 :] - total[: len(curve)]) / (2 * half + 1)


def _sampled_evaluator(metric: Metric, data: RankingDataset, count: int) -> Callable[[Any], float]:
    """The metric on up to `count` evenly spaced training queries: a curve beside the held-out one."""
    chosen = np.unique(np.linspace(0, data.query_count - 1, min(count, data.query_count)).astype(np.int64))
    sample = data.queries(chosen)
    rows = np.concatenate([np.arange(data.offsets[q], data.offsets[q + 1]) for q in chosen])
    evaluate = metric.evaluator(sample)
    return lambda scores: evaluate(np.asarray(scores)[rows])


@contextmanager
def interruptible(on: Stop) -> Iterator[None]:
    """The first Ctrl-C ends the run after the current round; the second one at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        on.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
