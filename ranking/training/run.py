"""TrainConfig and data in, a ranker in its folder out.

The loop belongs to the booster; after each round `RunWatch` scores the held-out lists, decides on early
stopping, reports progress and keeps checkpoints. Two runs with the same data, config, seed and threads
write the same bytes, also when one of them was killed and resumed.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from ranking.training.checkpoint import drop_checkpoint, folder_for
from ranking.training.config import TrainConfig
from ranking.training.crossfit import cross_fit
from ranking.training.dealing import pooled
from ranking.training.networks import train_networks
from ranking.training.page import render
from ranking.training.report import training_report
from ranking.training.single import train_single
from ranking.training.trainers import Trained
from ranking.training.watch import Course, Progress, Stop, interruptible
from ranking.training.written import BEST, NEURAL
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
    failure: str | None = None
    """why the training could not go on, where it could not"""
    out_of_fold: bool = False
    """is each of these queries measured by the members that have not seen it?"""

    def as_json(self) -> dict[str, Any]:
        return {
            "model": str(self.folder),
            "backend": self.config.backend,
            "objective": self.config.objective,
            "rounds": self.rounds,
            "seconds": round(self.seconds, 3),
            "metrics": self.measured() or {"valid": {}},
            "interrupted": self.interrupted,
            "notes": list(self.notes),
            **({"warnings": list(self.warnings)} if self.warnings else {}),
        }

    def measured(self) -> dict[str, Any]:
        """The metrics as the manifest has them."""
        if self.evaluation is None:
            return {}
        return {"valid": dict(self.evaluation.means), **({"out_of_fold": True} if self.out_of_fold else {})}


def train(
    config: TrainConfig,
    data: RankingDataset,
    valid: RankingDataset | None,
    out: Path | str,
    *,
    resume: bool = False,
    against: Ranker | None = None,
    teacher: Ranker | None = None,
    warnings: Sequence[str] = (),
    progress: Progress | None = None,
) -> TrainResult:
    """Train a ranker and save it, with its report, as the artifact `out`.

    Without `valid`, `config.valid_fraction` of the queries are held out. `against` is another ranker to
    show beside this one in the report; `teacher` is one whose scores of the training lists are learned in
    place of their labels (held-out lists keep theirs), as `data.targets` are by an objective of real numbers.
    `warnings` are told in the result and on the page beside those found here.
    Ctrl-C ends the run after the current round and keeps the best model so far (`interrupted` in the result).
    Raises UsageError for a config, and DataError for data, that cannot be trained on.
    """
    started = time.monotonic()
    out = Path(out)
    check_destination(out)
    name = "the held-out part" if valid is None else "valid"
    data, valid, notes = _split(config, data, valid)
    warnings = (*warnings, *(() if valid is None else shared_queries(valid, data, name)))
    parts = [part for part in (data, valid) if part is not None]
    for one in _metrics(config, parts):
        for part in parts:
            one.check(part)
    notes += [*left_out(default_metrics(*parts)), *config.remarks()]
    for other in (against, teacher):
        if other is not None:
            _check_comparable(config, data, other)
    taught = data if teacher is None else taught_by(teacher, data, config)
    identity = _identity(config, data, valid)
    if teacher is not None:
        identity["teacher"] = {"kind": teacher.kind, "lessons": taught.fingerprint()}
    elif taught.targets is not None and config.learns_real_numbers:
        identity["targets"] = f"sha256:{hashlib.sha256(taught.targets.tobytes()).hexdigest()}"
    elif taught.targets is not None:
        notes.append(
            f"the data has targets, a teacher's scores, and {config.objective} learns from its labels: "
            "--objective margin_mse learns the targets"
        )
    run = _Run(
        config=config,
        data=data,
        taught=taught,
        valid=valid,
        out=out,
        stop=Stop(),
        progress=progress,
        resume=resume,
        against=against,
        identity=identity,
        notes=tuple(notes),
        warnings=warnings,
        started=started,
    )
    with interruptible(run.stop):
        return _finished(run)


@dataclass(frozen=True, kw_only=True)
class _Run:
    """All that was settled before the training: what is trained, on what, watched by whom, written where."""

    config: TrainConfig
    data: RankingDataset
    taught: RankingDataset
    """the same lists with what a teacher says of them"""
    valid: RankingDataset | None
    out: Path
    stop: Stop
    progress: Progress | None
    resume: bool
    against: Ranker | None
    identity: Mapping[str, Any]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    started: float

    @property
    def shown(self) -> RankingDataset:
        """The lists that a model is measured on."""
        return self.data if self.valid is None else self.valid


@dataclass(frozen=True, kw_only=True)
class _Trained:
    """What a training gave."""

    config: TrainConfig
    """with what the objective took from the training lists"""
    ranker: Trained
    shown: RankingDataset
    """the lists it is measured on"""
    scores: Float32
    """of these, by it or by the members that have not seen them"""
    course: Course
    notes: tuple[str, ...]
    members: tuple[Mapping[str, Any], ...] = ()
    """facts of each, of a model made of several"""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """what else the manifest says of it"""
    beside: Mapping[str, Float32] = field(default_factory=dict)
    """scores of the same lists by what it learned from"""
    failure: str | None = None


def _one_model(run: _Run) -> _Trained:
    one = train_single(
        run.config, run.data, run.valid, lessons=run.taught, stop=run.stop, progress=run.progress,
        folder=folder_for(run.out), identity=run.identity, resume=run.resume,
    )  # fmt: skip
    return _Trained(
        config=one.config,
        ranker=one.ranker,
        shown=run.shown,
        scores=score_dataset(one.ranker, run.shown),
        course=one.watch.course,
        notes=(*one.resumed, *one.alarms),
    )


def _networks(run: _Run) -> _Trained:
    lessons = None if run.taught is run.data else run.taught
    found = train_networks(
        run.config, run.data, run.valid, lessons=lessons, stop=run.stop, progress=run.progress,
        folder=folder_for(run.out), identity=run.identity, resume=run.resume,
    )  # fmt: skip
    kept, teacher = found.kept, found.teacher
    return _Trained(
        config=kept.config,
        ranker=kept.ranker,
        shown=run.shown,
        scores=score_dataset(kept.ranker, run.shown),
        course=found.course,
        notes=found.notes,
        facts=found.facts(),
        beside={} if teacher is None else {"its teacher": score_dataset(teacher.ranker, run.shown)},
        failure=found.failure,
    )


def _several_members(run: _Run) -> _Trained:
    fitted = cross_fit(
        run.config, run.data, taught=run.taught, stop=run.stop, progress=run.progress,
        folder=folder_for(run.out), identity=run.identity, resume=run.resume,
    )  # fmt: skip
    return _Trained(
        config=run.config,
        ranker=fitted.ranker,
        shown=run.data.queries(fitted.judged),
        scores=fitted.out_of_fold,
        course=fitted.course,
        notes=fitted.notes(run.resume),
        members=tuple(fitted.facts(run.config.watched)),
    )


def _train(run: _Run) -> _Trained:
    if run.config.backend == NEURAL:
        return _networks(run)
    return _several_members(run) if run.config.preset == BEST else _one_model(run)


def _finished(run: _Run) -> TrainResult:
    """Train, measure and save; a Ctrl-C after the last tree does not lose what was trained."""
    trained = _train(run)
    config, ranker = trained.config, trained.ranker
    baseline = best_feature(run.data, config.watched, config.seed)
    systems = {THIS_MODEL: trained.scores, **_others(run, trained.shown, baseline), **trained.beside}
    metrics = _metrics(config, [run.data, trained.shown])
    evaluations = {
        name: evaluate_scores(scores, trained.shown, metrics, config.seed) for name, scores in systems.items()
    }
    measured_on = "out of fold" if trained.members else "training" if run.valid is None else "held-out"
    result = TrainResult(
        folder=run.out,
        ranker=ranker,
        config=config,
        rounds=ranker.rounds,
        seconds=time.monotonic() - run.started,
        evaluation=None if measured_on == "training" else evaluations[THIS_MODEL],
        interrupted=run.stop.asked,
        notes=(*run.notes, *trained.notes),
        warnings=run.warnings,
        failure=trained.failure,
        out_of_fold=bool(trained.members),
    )
    report = training_report(
        config, ranker, run.data, run.valid, trained.shown, trained.scores, evaluations, trained.course,
        run.identity, measured_on=measured_on, members=trained.members, interrupted=result.interrupted,
        warnings=run.warnings,
    )  # fmt: skip
    save_artifact(
        run.out,
        ranker,
        facts=_facts(run, trained, result, baseline) | {"conventions": conventions_of(metrics)},
        golden=golden_rows(run.data.features, config.seed),
        extra={"report.html": render(report).encode()},
    )
    if not result.interrupted:
        drop_checkpoint(folder_for(run.out))
    return replace(result, interrupted=run.stop.asked)


def fit(config: TrainConfig, data: RankingDataset, valid: RankingDataset | None) -> Trained:
    """Train only: no folder, no report, no checkpoints (what cross-validation and benchmarks need).

    Preset best learns from `valid` too. With `missing="zero"` NaN is 0, as the model will score it.
    """
    data, valid = _as_served(data, config.missing), valid and _as_served(valid, config.missing)
    if config.preset == BEST:
        return cross_fit(config, data if valid is None else pooled(data, valid), stop=Stop()).ranker
    if config.backend == NEURAL:
        return train_networks(config, data, valid).kept.ranker
    return train_single(config, data, valid).ranker


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
    notes = _filled(config, data)
    data, valid = _as_served(data, config.missing), valid and _as_served(valid, config.missing)
    if valid is not None:
        width = max(data.feature_count, valid.feature_count)
        names = data.feature_names if data.feature_count == width else valid.feature_names
        data, valid = (part.with_width(width, config.missing, names) for part in (data, valid))
    if config.preset == BEST:
        pool = data if valid is None else pooled(data, valid)
        told = [] if valid is None else [f"trained on all {pool.query_count} queries, those of --valid too"]
        return pool, None, notes + told
    if valid is not None:
        return data, valid, notes
    if config.valid_fraction == 0:
        return data, None, [*notes, "no held-out queries: trains all rounds, measures nothing"]
    rest, held_out = data.hold_out(config.valid_fraction, config.seed)
    told = [f"held out {held_out.query_count} of {data.query_count} queries (no --valid file)"]
    return rest, held_out, notes + told


def _filled(config: TrainConfig, data: RankingDataset) -> list[str]:
    """What to tell of missing values that are read as 0."""
    if config.missing == "nan":
        return []
    holes = np.flatnonzero(np.isnan(data.features).any(0)).tolist()
    if not holes:
        return []
    named = ", ".join(data.name_of(feature) for feature in holes[:3]) + (" …" if len(holes) > 3 else "")
    return [
        f"missing values of {len(holes)} features ({named}) are read as 0 "
        f"(missing={config.missing}); missing=nan tells them from a real 0"
    ]


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


def _others(run: _Run, shown: RankingDataset, baseline: FeatureBaseline) -> dict[str, Float32]:
    """Scores of the shown lists by what the model is held against."""
    systems = {f"feature {shown.name_of(baseline.feature)} alone": baseline.score(shown.features)}
    if run.against is not None:
        systems["compared model"] = score_dataset(run.against, shown)
    return systems


def _metrics(config: TrainConfig, parts: Sequence[RankingDataset]) -> list[Metric]:
    """What the report shows: the run's metric, then the default ones that these lists' labels allow."""
    names = dict.fromkeys([config.metric, *default_metrics(*parts)])
    return [config.measured(name) for name in names]


def _facts(run: _Run, trained: _Trained, result: TrainResult, baseline: FeatureBaseline) -> dict[str, Any]:
    """What the manifest says of the run; no times, so that equal runs give equal folders."""
    config, data, valid, identity = trained.config, run.data, run.valid, run.identity
    resolved = config.resolved()
    return {
        "objective": resolved.pop("objective"),
        "config": resolved,
        "seed": config.seed,
        "data": {"train": identity["train data"], "valid": identity["held-out data"]},
        "query_digests": {"train": sketch(data)} | ({} if valid is None else {"valid": sketch(valid)}),
        "rounds": result.rounds,
        "rounds_trained": trained.course.rounds,
        "interrupted": result.interrupted,
        "metrics": result.measured(),
        **({"members": list(trained.members)} if trained.members else {}),
        **trained.facts,
        "baseline": {"feature": baseline.feature, "descending": baseline.descending},
        **({"audit": dict(audit)} if (audit := getattr(result.ranker, "audit", None)) is not None else {}),
        **{key: identity[key] for key in ("teacher", "targets") if key in identity},
        **_named_categories(config, data),
        "feature_ranges": feature_ranges(data.features),
        "feature_profile": feature_profile(data.features),
    }


def _named_categories(config: TrainConfig, data: RankingDataset) -> dict[str, Any]:
    """The names of the categorical features, where there are any."""
    names = [data.name_of(column) for column in categorical_columns(config.categorical, data)]
    return {"categorical": names} if names else {}
