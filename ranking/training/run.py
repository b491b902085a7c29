"""TrainConfig and data in, a ranker in its folder out.

The loop belongs to the booster; after each round `RunWatch` scores the held-out lists, decides on early
stopping, reports progress and keeps checkpoints. Two runs with the same data, config, seed and threads
write the same bytes, also when one of them was killed and resumed.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ranking.data.arrays import Float32
from ranking.data.dataset import Missing, RankingDataset
from ranking.data.overlap import shared_queries, sketch
from ranking.data.profile import feature_profile, feature_ranges
from ranking.errors import UsageError
from ranking.metrics import Metric
from ranking.metrics.evaluation import (
    Evaluation,
    FeatureBaseline,
    best_feature,
    conventions_of,
    default_metrics,
    evaluate_scores,
    left_out,
)
from ranking.models.folder import check_destination, golden_rows, save_artifact
from ranking.models.ranker import Ranker, score_dataset
from ranking.training.checkpoint import Checkpoint, Keeper, drop_checkpoint, folder_for, read_checkpoint
from ranking.training.config import TrainConfig
from ranking.training.page import render
from ranking.training.report import training_report
from ranking.training.trainers import Task, Trained, trainer_of
from ranking.training.watch import Progress, RunWatch, interruptible
from ranking.trees.boosting import categorical_columns

__all__ = ["Progress", "TrainConfig", "TrainResult", "train"]

THIS_MODEL = "this model"

_NOT_IDENTITY = ("checkpoint_seconds",)
"""Config that does not change the model, and so may differ on --resume."""


@dataclass(frozen=True)
class TrainResult:
    """What a run gave."""

    folder: Path
    ranker: Ranker
    config: TrainConfig
    rounds: int
    """trees kept"""
    seconds: float
    evaluation: Evaluation | None
    """on the held-out queries, or None where there are none"""
    interrupted: bool
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    """why the held-out values may be worth less than they seem"""

    def as_json(self) -> dict[str, Any]:
        valid = {} if self.evaluation is None else dict(self.evaluation.means)
        return {
            "model": str(self.folder),
            "backend": self.config.backend,
            "objective": self.config.objective,
            "rounds": self.rounds,
            "seconds": round(self.seconds, 3),
            "metrics": {"valid": valid},
            "interrupted": self.interrupted,
            "notes": list(self.notes),
            **({"warnings": list(self.warnings)} if self.warnings else {}),
        }


def train(
    config: TrainConfig,
    data: RankingDataset,
    valid: RankingDataset | None,
    out: Path | str,
    *,
    resume: bool = False,
    against: Ranker | None = None,
    teacher: Ranker | None = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Train a ranker and save it, with its report, as the artifact `out`.

    Without `valid`, `config.valid_fraction` of the queries are held out. `against` is another ranker to
    show beside this one in the report; `teacher` is one whose scores of the training lists are learned in
    place of their labels (held-out lists keep theirs), as `data.targets` are by an objective of real numbers.
    Ctrl-C ends the run after the current round and keeps the best model so far (`interrupted` in the result).
    Raises UsageError for a config, and DataError for data, that cannot be trained on.
    """
    started = time.monotonic()
    out = Path(out)
    check_destination(out)
    metric = config.watched
    name = "the held-out part" if valid is None else "valid"
    data, valid, notes = _split(config, data, valid)
    warnings = () if valid is None else shared_queries(valid, data, name)
    parts = [part for part in (data, valid) if part is not None]
    for one in _metrics(config, parts):
        for part in parts:
            one.check(part)
    notes += [*left_out(default_metrics(*parts)), *config.remarks()]
    for other in (against, teacher):
        if other is not None:
            _check_comparable(config, data, other)
    taught = data if teacher is None else taught_by(teacher, data, config)
    identity, config = _identity(config, data, valid), config.settled(taught)
    if teacher is not None:
        identity["teacher"] = {"kind": teacher.kind, "lessons": taught.fingerprint()}
    elif taught.targets is not None and config.learns_real_numbers:
        identity["targets"] = f"sha256:{hashlib.sha256(taught.targets.tobytes()).hexdigest()}"
    elif taught.targets is not None:
        notes.append(
            f"the data has targets, a teacher's scores, and {config.objective} learns from its labels: "
            "--objective margin_mse learns the targets"
        )
    checkpoint, resumed = _checkpoint_to_resume(config, out, identity) if resume else (None, [])
    run = _Run(
        config=config,
        metric=metric,
        data=data,
        taught=taught,
        valid=valid,
        out=out,
        watch=RunWatch(config, metric, data, valid, progress, Keeper(folder_for(out), identity), checkpoint),
        checkpoint=checkpoint,
        against=against,
        identity=identity,
        notes=(*notes, *resumed),
        warnings=warnings,
        started=started,
    )
    with interruptible(run.watch):
        return _finished(run)


@dataclass(frozen=True, kw_only=True)
class _Run:
    """All that was settled before the training: what is trained, on what, watched by whom, written where."""

    config: TrainConfig
    metric: Metric
    data: RankingDataset
    taught: RankingDataset
    """the same lists with what a teacher says of them"""
    valid: RankingDataset | None
    out: Path
    watch: RunWatch
    checkpoint: Checkpoint | None
    against: Ranker | None
    identity: Mapping[str, Any]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    started: float

    @property
    def shown(self) -> RankingDataset:
        """The lists that the report measures on."""
        return self.data if self.valid is None else self.valid


def _finished(run: _Run) -> TrainResult:
    """Train, measure and save; a Ctrl-C after the last tree does not lose what was trained."""
    config, watch = run.config, run.watch
    trainer = trainer_of(config)
    ranker = trainer.fit(Task(config, run.taught, run.valid, watch, run.checkpoint))
    baseline = best_feature(run.data, run.metric, config.seed)
    systems = _systems(ranker, run.shown, baseline, run.against)
    metrics = _metrics(config, [run.data, run.shown])
    evaluations = {
        name: evaluate_scores(scores, run.shown, metrics, config.seed) for name, scores in systems.items()
    }
    result = TrainResult(
        folder=run.out,
        ranker=ranker,
        config=config,
        rounds=ranker.rounds,
        seconds=time.monotonic() - run.started,
        evaluation=None if run.valid is None else evaluations[THIS_MODEL],
        interrupted=watch.interrupted,
        notes=(*run.notes, *trainer.alarms(ranker)),
        warnings=run.warnings,
    )
    report = training_report(
        config, ranker, run.data, run.valid, systems[THIS_MODEL], evaluations, watch, run.identity,
        run.warnings,
    )  # fmt: skip
    save_artifact(
        run.out,
        ranker,
        facts=_facts(run, result, baseline) | {"conventions": conventions_of(metrics)},
        golden=golden_rows(run.data.features, config.seed),
        extra={"report.html": render(report).encode()},
    )
    if not result.interrupted:
        drop_checkpoint(folder_for(run.out))
    return replace(result, interrupted=watch.interrupted)


def fit(config: TrainConfig, data: RankingDataset, valid: RankingDataset | None) -> Trained:
    """Train only: no folder, no report, no checkpoints (what cross-validation and benchmarks need)."""
    config = config.settled(data)
    watch = RunWatch(config, config.watched, data, valid, None, None, None)
    return trainer_of(config).fit(Task(config, data, valid, watch))


def taught_by(teacher: Ranker, data: RankingDataset, config: TrainConfig) -> RankingDataset:
    """The lists with the teacher's scores as targets; for an objective of grades as labels, from 0 a list."""
    scores = score_dataset(teacher, data)
    if config.learns_real_numbers:
        return replace(data, targets=scores, trusted=True)
    exact = scores.astype(np.float64)
    least = np.repeat(np.minimum.reduceat(exact, data.offsets[:-1]), data.sizes)
    return replace(data, labels=np.asarray(exact - least, np.float32), trusted=True)


def _split(
    config: TrainConfig, data: RankingDataset, valid: RankingDataset | None
) -> tuple[RankingDataset, RankingDataset | None, list[str]]:
    """(train, held-out lists or None, what to tell the user), both of the same width."""
    data, valid = (
        _as_served(data, config.missing),
        None if valid is None else _as_served(valid, config.missing),
    )
    if valid is not None:
        width = max(data.feature_count, valid.feature_count)
        names = data.feature_names if data.feature_count == width else valid.feature_names
        data, valid = (part.with_width(width, config.missing, names) for part in (data, valid))
        return data, valid, []
    if config.valid_fraction == 0:
        return data, None, ["no held-out queries: trains all rounds, measures nothing"]
    rest, held_out = data.hold_out(config.valid_fraction, config.seed)
    return (
        rest,
        held_out,
        [f"held out {held_out.query_count} of {data.query_count} queries (no --valid file)"],
    )


def _as_served(data: RankingDataset, missing: Missing) -> RankingDataset:
    """Missing values as the service will fill them, whatever the data came with."""
    features = data.features
    if missing == "zero" and np.isnan(features).any():
        features = np.nan_to_num(features, nan=0.0, posinf=np.inf, neginf=-np.inf)
    return replace(data, features=features, trusted=True)


def _check_comparable(config: TrainConfig, data: RankingDataset, against: Ranker) -> None:
    """Refuse before the training what could not be shown beside it afterwards."""
    if against.missing != config.missing:
        raise UsageError(
            f"the model to show beside this one reads absent features as missing={against.missing}, "
            f"this run as missing={config.missing}: train with the same, or leave out --against"
        )
    data.queries([0]).with_width(against.feature_count, against.missing, against.feature_names)


def _identity(config: TrainConfig, data: RankingDataset, valid: RankingDataset | None) -> dict[str, Any]:
    """What decides the model: the resolved config and the fingerprints of the data."""
    resolved = {key: value for key, value in config.resolved().items() if key not in _NOT_IDENTITY}
    return {
        **resolved,
        "train data": data.fingerprint(),
        "held-out data": None if valid is None else valid.fingerprint(),
    }


def _checkpoint_to_resume(
    config: TrainConfig, out: Path, identity: Mapping[str, Any]
) -> tuple[Checkpoint | None, list[str]]:
    """The checkpoint to continue from, or None with the reason for starting over."""
    checkpoint = read_checkpoint(folder_for(out), identity)
    if checkpoint is None:
        return None, ["no checkpoint to resume from: started at round 0"]
    state = trainer_of(config).unrestorable(config)
    if state is not None:
        return None, [f"{config.backend} cannot restore the state of {state}: started at round 0"]
    return checkpoint, [f"resumed after round {checkpoint.rounds}"]


def _systems(
    ranker: Trained, shown: RankingDataset, baseline: FeatureBaseline, against: Ranker | None
) -> dict[str, Float32]:
    """Scores of the shown lists by this model and by what it is held against."""
    systems = {THIS_MODEL: score_dataset(ranker, shown)}
    systems[f"feature {shown.name_of(baseline.feature)} alone"] = baseline.score(shown.features)
    if against is not None:
        systems["compared model"] = score_dataset(against, shown)
    return systems


def _metrics(config: TrainConfig, parts: Sequence[RankingDataset]) -> list[Metric]:
    """What the report shows: the run's metric, then the default ones that these lists' labels allow."""
    names = dict.fromkeys([config.metric, *default_metrics(*parts)])
    return [config.measured(name) for name in names]


def _facts(run: _Run, result: TrainResult, baseline: FeatureBaseline) -> dict[str, Any]:
    """What the manifest says of the run; no times, so that equal runs give equal folders."""
    config, data, valid, identity = run.config, run.data, run.valid, run.identity
    resolved = config.resolved()
    facts: dict[str, Any] = {
        "objective": resolved.pop("objective"),
        "config": resolved,
        "seed": config.seed,
        "data": {"train": identity["train data"], "valid": identity["held-out data"]},
        "query_digests": {"train": sketch(data)} | ({} if valid is None else {"valid": sketch(valid)}),
        "rounds": result.rounds,
        "rounds_trained": run.watch.rounds,
        "interrupted": result.interrupted,
        "metrics": {},
        "baseline": {"feature": baseline.feature, "descending": baseline.descending},
        **({"audit": dict(audit)} if (audit := getattr(result.ranker, "audit", None)) is not None else {}),
        **{key: identity[key] for key in ("teacher", "targets") if key in identity},
        **_named_categories(config, data),
        "feature_ranges": feature_ranges(data.features),
        "feature_profile": feature_profile(data.features),
    }
    if result.evaluation is not None:
        facts["metrics"] = {"valid": dict(result.evaluation.means)}
    return facts


def _named_categories(config: TrainConfig, data: RankingDataset) -> dict[str, Any]:
    """The names of the categorical features, where there are any."""
    names = [data.name_of(column) for column in categorical_columns(config.categorical, data)]
    return {"categorical": names} if names else {}
