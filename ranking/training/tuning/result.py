"""What a search found: the best configuration as TOML, all trials as JSON Lines, a page, a JSON object."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ranking.data.atomic import replace_file
from ranking.errors import DataError
from ranking.metrics.comparison import bootstrap_interval, paired_randomisation
from ranking.training.config import TrainConfig
from ranking.training.page.search import SearchReport, TrialRow, render_search
from ranking.training.tuning.study import DEFAULT, library, quiet
from ranking.training.written import BEST, as_toml, flattened

if TYPE_CHECKING:
    import optuna

    from ranking.training.tuning.space import Space

_NOT_WRITTEN = ("threads", "checkpoint_seconds", "valid_fraction")
"""Settings of the machine or of one data set, which best.toml leaves to the run."""

_IMPORTANCE_TRIALS = 10


@dataclass(frozen=True)
class Trial:
    """One configuration that was tried."""

    number: int
    state: str
    """complete, pruned or failed"""
    value: float | None
    """mean over the queries of all folds; of a pruned one over the folds it saw"""
    folds: int
    """how many were measured"""
    choices: Mapping[str, Any]
    rounds: Sequence[int]
    seconds: float
    is_default: bool
    per_query: Sequence[float] | None


@dataclass(frozen=True)
class TuneResult:
    """What the study holds after a search."""

    study: Path
    space: Space
    trials: Sequence[Trial]
    best: Trial
    default: Trial | None
    best_config: TrainConfig
    importance: Sequence[tuple[str, float]]
    seconds: float
    interrupted: bool

    @classmethod
    def of(
        cls, study: optuna.Study, space: Space, file: Path, seconds: float, interrupted: bool
    ) -> TuneResult:
        """Read the study. Raises DataError where no trial was completed."""
        trials = [_trial(one) for one in study.get_trials(deepcopy=False) if one.state.is_finished()]
        complete = [trial for trial in trials if trial.state == "complete"]
        if not complete:
            raise DataError(
                "no configuration could be trained and measured on all folds: give the search more time, "
                "or try `rankwright cv` on the same data to see why"
            )
        best = max(complete, key=lambda trial: trial.value or -np.inf)
        optuna = library()
        # ranges are asked again, so that the configuration is made by the one function that makes them
        config = space.suggest(optuna.trial.FixedTrial(dict(best.choices)))
        return cls(
            study=file,
            space=space,
            trials=trials,
            best=best,
            default=next((trial for trial in complete if trial.is_default), None),
            best_config=config,
            importance=_importance(study, len(complete)),
            seconds=seconds,
            interrupted=interrupted,
        )

    def difference(self) -> dict[str, Any] | None:
        """The best minus the default over all queries, paired: mean, 95 % interval, p."""
        if self.default is None or self.default.per_query is None or self.best.per_query is None:
            return None
        if self.best.number == self.default.number:
            return {"mean": 0.0, "interval": [0.0, 0.0], "p": 1.0}
        a, b = (np.array(trial.per_query) for trial in (self.best, self.default))
        counted = (a >= 0) & (b >= 0)
        low, high = bootstrap_interval((a - b)[counted])
        p = paired_randomisation(a[counted], b[counted])
        return {"mean": float((a - b)[counted].mean()), "interval": [low, high], "p": p}

    def as_json(self) -> dict[str, Any]:
        return {
            "study": str(self.study),
            "trials": len(self.trials),
            "pruned": sum(trial.state == "pruned" for trial in self.trials),
            "best": {
                "value": self.best.value,
                "trial": self.best.number,
                "rounds": list(self.best.rounds),
                "config": plain(self.best_config),
            },
            "default": None if self.default is None else {"value": self.default.value},
            "difference": self.difference(),
            "seconds": round(self.seconds, 3),
            "interrupted": self.interrupted,
        }

    def write(self, out: Path) -> None:
        """best.toml, trials.jsonl and report.html."""
        replace_file(out / "best.toml", self.toml().encode())
        rows = [_row(trial) for trial in self.trials]
        replace_file(out / "trials.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
        replace_file(out / "report.html", render_search(self._report()).encode())

    def toml(self) -> str:
        """The best configuration in the form `train --config` takes."""
        folds = ", ".join(map(str, self.best.rounds))
        head = (
            f"# {self.best_config.metric} {self.best.value:.4f} over the folds, trial {self.best.number} of "
            f"{len(self.trials)}; trees kept by fold: {folds}\n"
        )
        return head + as_toml(plain(self.best_config))

    def _report(self) -> SearchReport:
        gain = self.difference()
        metric = self.best_config.metric
        summary = [
            ("backend", self.best_config.backend),
            ("trials", f"{len(self.trials)}, of them {sum(t.state == 'pruned' for t in self.trials)} pruned"),
            (f"best {metric}", f"{self.best.value:.4f} (trial {self.best.number})"),
        ]
        if self.default is not None:
            summary.append((f"default {metric}", f"{self.default.value:.4f}"))
        if gain is not None:
            low, high = gain["interval"]
            summary.append(("gain", f"{gain['mean']:+.4f} [{low:+.4f}, {high:+.4f}], p = {gain['p']:.3f}"))
        return SearchReport(
            title=f"{self.best_config.backend} · search for {metric}",
            summary=summary,
            metric=metric,
            trials=[
                TrialRow(t.number, t.state, t.folds, t.value, t.is_default, t.seconds, _written(t.choices))
                for t in self.trials
            ],
            best=self.best.number,
            config=[(k, str(v)) for k, v in flattened(plain(self.best_config))],
            importance=self.importance,
        )


def plain(config: TrainConfig) -> dict[str, Any]:
    """What best.toml holds: the run's settings, and only the parameters that were given or chosen."""
    found = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    kept = {key: value for key, value in found.items() if key not in _NOT_WRITTEN}
    parameters = kept.pop("objective_parameters")
    if config.preset == BEST:
        kept[BEST] = dataclasses.asdict(config.members)
    return {**kept, "objective": {"name": config.objective, **parameters}, "booster": dict(config.booster)}


def _trial(one: optuna.trial.FrozenTrial) -> Trial:
    value = one.value
    if value is None and one.intermediate_values:
        value = one.intermediate_values[max(one.intermediate_values)]
    return Trial(
        number=one.number,
        state={"FAIL": "failed"}.get(one.state.name, one.state.name.lower()),
        value=value,
        folds=len(one.intermediate_values),
        choices=one.params,
        rounds=one.user_attrs.get("rounds", []),
        seconds=one.duration.total_seconds() if one.duration else 0.0,
        is_default=bool(one.user_attrs.get(DEFAULT)),
        per_query=one.user_attrs.get("per query"),
    )


def _row(trial: Trial) -> dict[str, Any]:
    return {
        "trial": trial.number, "state": trial.state, "folds": trial.folds, "value": trial.value,
        "default": trial.is_default,
        "rounds": list(trial.rounds), "seconds": round(trial.seconds, 3), "choices": dict(trial.choices),
    }  # fmt: skip


def _importance(study: optuna.Study, complete: int) -> list[tuple[str, float]]:
    """Each parameter's share in what sets good trials apart (PED-ANOVA: Watanabe et al. 2023)."""
    if complete < _IMPORTANCE_TRIALS:
        return []
    optuna = library()
    with quiet():
        found = optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
        )
    return list(found.items())


def _written(choices: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in choices.items()
    )
