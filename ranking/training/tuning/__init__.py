"""Search for the configuration that ranks held-out queries best: `tune`.

space    what is searched
study    the study's file: made, joined, resumed
result   what was found, as TOML, JSON Lines and a page

Every trial is trained and measured on the same folds over queries, as `rankwright cv` does it. The default
configuration is the first trial, so that the best is never worse than it on the folds; whether it is better
by more than chance is said by a paired comparison over all queries. The value of the best of many trials is
optimistic: judge the final model on queries that were not searched on.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ranking.data.arrays import Float64
from ranking.data.places import check_folder
from ranking.errors import DataError, UsageError
from ranking.models.ranker import score_dataset
from ranking.training.config import TrainConfig
from ranking.training.crossvalidation import Folds
from ranking.training.run import fit
from ranking.training.tuning.result import TuneResult
from ranking.training.tuning.space import Space
from ranking.training.tuning.study import DEFAULT, library, open_study, quiet

__all__ = ["SearchProgress", "Space", "TuneResult", "tune"]

SearchProgress = Callable[[int, int | None, int, int, float | None, float | None], None]
"""(trials ended, of, folds of this trial done, of, best value so far, seconds left)"""

_NOT_IDENTITY = ("threads", "checkpoint_seconds", "valid_fraction", "objective")


@dataclass(frozen=True)
class _Budget:
    """When to stop."""

    trials: int | None
    seconds: float | None
    started: float

    @property
    def left(self) -> float | None:
        return None if self.seconds is None else self.seconds - (time.monotonic() - self.started)

    @property
    def spent(self) -> bool:
        return self.left is not None and self.left <= 0


def tune(
    space: Space,
    folds: Folds,
    out: Path,
    *,
    trials: int | None = None,
    seconds: float | None = None,
    study_file: Path | None = None,
    progress: SearchProgress | None = None,
) -> TuneResult:
    """Search until the study holds `trials` ended trials, or for `seconds`, whichever is first.

    The study lies in `study_file`, by default `out`/study.db: the same call goes on with it, and several
    processes may search in it at once. Ctrl-C ends the search with what it has (`interrupted`). Writes
    best.toml, trials.jsonl and report.html into `out`. Raises UsageError for a study of another search or an
    `out` that cannot be written, DataError where no trial could be trained or the disk is full at the end.
    """
    if trials is None and seconds is None:
        raise UsageError("give the search an end: a number of trials, or a time")
    space.start.watched.check(folds.dataset)
    budget = _Budget(trials, seconds, time.monotonic())
    optuna, file = library(), study_file or out / "study.db"
    check_folder(out)
    check_folder(file.parent, file.name)
    out.mkdir(parents=True, exist_ok=True)
    study = open_study(file, _identity(space, folds), space.default(), space.start.seed)
    ended = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    interrupted = False
    try:
        with quiet():
            search = _Search(space, folds, budget, progress)
            # One trial is measured whatever the time: there is nothing to write without.
            while (not budget.spent or _best(study) == -np.inf) and _count(study, ended) < (trials or np.inf):
                study.optimize(search, n_trials=1)
    except KeyboardInterrupt:
        interrupted = True
    result = TuneResult.of(study, space, file, time.monotonic() - budget.started, interrupted)
    try:
        result.write(out)
    except OSError as error:
        raise DataError(
            f"writing into {out} failed: {error.strerror}; the study is kept in {file}: "
            "make room, and give the same command again"
        ) from error
    return result


def _count(study: Any, states: Any) -> int:
    return len(study.get_trials(deepcopy=False, states=states))


def _identity(space: Space, folds: Folds) -> dict[str, Any]:
    """What makes two trials' values comparable."""
    config = space.start.resolved()
    fixed = {key: value for key, value in config.items() if key not in _NOT_IDENTITY}
    fixed["query_fraction"] = space.start.query_fraction
    return {
        **fixed,
        "objectives": list(space.objectives),
        "objective parameters": dict(space.start.objective_parameters),
        "data": folds.dataset.fingerprint(),
        "folds": hashlib.sha256(folds.fold.tobytes()).hexdigest()[:16],
    }


@dataclass(frozen=True)
class _Search:
    """What Optuna calls for each trial: the mean over all queries of all folds."""

    space: Space
    folds: Folds
    budget: _Budget
    progress: SearchProgress | None

    def __call__(self, trial: Any) -> float:
        optuna = library()
        config = self.space.suggest(trial)
        values: list[Float64] = []
        rounds: list[int] = []
        for fold in range(self.folds.count):
            self._report(trial, fold)
            try:
                found, trees = _measured(config, self.folds, fold)
            except DataError as error:
                if trial.user_attrs.get(DEFAULT):
                    raise  # nothing that is searched is at fault
                trial.set_user_attr("error", str(error))
                raise optuna.TrialPruned from error
            values.append(found)
            rounds.append(trees)
            so_far = float(np.nanmean(np.concatenate(values)))
            trial.report(so_far, fold)
            last = fold + 1 == self.folds.count
            # The default is always finished: it is what everything is held against.
            if not last and not trial.user_attrs.get(DEFAULT) and (trial.should_prune() or self.budget.spent):
                raise optuna.TrialPruned
        trial.set_user_attr("rounds", rounds)
        if trial.user_attrs.get(DEFAULT) or so_far > _best(trial.study):
            kept = np.where(np.isnan(every := np.concatenate(values)), -1.0, every)
            trial.set_user_attr("per query", [round(v, 6) for v in kept.tolist()])
        return so_far

    def _report(self, trial: Any, fold: int) -> None:
        if self.progress is None:
            return
        states = library().trial.TrialState
        ended = _count(trial.study, (states.COMPLETE, states.PRUNED))
        best = _best(trial.study)
        value = None if best == -np.inf else best
        self.progress(ended, self.budget.trials, fold, self.folds.count, value, self.budget.left)


def _best(study: Any) -> float:
    state = library().trial.TrialState.COMPLETE
    return max((t.value for t in study.get_trials(deepcopy=False, states=(state,))), default=-np.inf)


def _measured(config: TrainConfig, folds: Folds, fold: int) -> tuple[Float64, int]:
    """(the metric of each query of the fold, trees kept)."""
    rest, valid, tested = folds.split(fold)
    ranker = fit(config, rest, valid)
    return config.watched.per_query(score_dataset(ranker, tested), tested), ranker.rounds
