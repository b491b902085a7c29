"""TrainConfig and data in, a ranker in its folder out.

The loop belongs to the booster; after each round `RunWatch` scores the held-out lists, decides on early
stopping, reports progress and keeps checkpoints. Two runs with the same data, config, seed and threads
write the same bytes, also when one of them was killed and resumed.
"""

from __future__ import annotations

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
from ranking.errors import DataError, UsageError
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
from ranking.neural.ranker import NeuralRanker
from ranking.objectives import objective_named
from ranking.training.checkpoint import Checkpoint, Keeper, drop_checkpoint, folder_for, read_checkpoint
from ranking.training.config import NEURAL, TrainConfig
from ranking.training.page import render
from ranking.training.report import training_report
from ranking.training.watch import Progress, RunWatch, interruptible
from ranking.trees.backends import BACKENDS
from ranking.trees.boosting import Job, boost, categorical_columns, first_rounds, rescales, stateful
from ranking.trees.ranker import TreeRanker

__all__ = ["Progress", "TrainConfig", "TrainResult", "train"]

Trained = TreeRanker | NeuralRanker

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
    place of their labels (held-out lists keep theirs). Ctrl-C ends the run after the current round and keeps
    the best model so far (`interrupted` in the result). Raises UsageError for a config, and DataError for
    data, that cannot be trained on.
    """
    started = time.monotonic()
    out = Path(out)
    check_destination(out)
    metric = Metric.parse(config.metric, **config.conventions)
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
    identity = _identity(config, data, valid)
    taught = data
    if teacher is not None:
        taught = replace(data, labels=lessons(teacher, data), trusted=True)
        identity["teacher"] = {"kind": teacher.kind, "lessons": taught.fingerprint()}
    checkpoint, resumed = _checkpoint_to_resume(config, out, identity) if resume else (None, [])
    watch = RunWatch(config, metric, data, valid, progress, Keeper(folder_for(out), identity), checkpoint)
    with interruptible(watch):
        return _finished(
            config,
            data,
            taught,
            valid,
            out,
            watch,
            checkpoint,
            against,
            identity,
            (*notes, *resumed),
            warnings,
            started,
        )


def _finished(
    config: TrainConfig,
    data: RankingDataset,
    taught: RankingDataset,
    valid: RankingDataset | None,
    out: Path,
    watch: RunWatch,
    checkpoint: Checkpoint | None,
    against: Ranker | None,
    identity: Mapping[str, Any],
    notes: tuple[str, ...],
    warnings: tuple[str, ...],
    started: float,
) -> TrainResult:
    """Train, measure and save; a Ctrl-C after the last tree does not lose what was trained."""
    metric = Metric.parse(config.metric, **config.conventions)
    ranker = _trained(config, taught, valid, watch, checkpoint)
    baseline = best_feature(data, metric, config.seed)
    shown = data if valid is None else valid
    systems = _systems(ranker, shown, baseline, against)
    metrics = _metrics(config, [data, shown])
    evaluations = {
        name: evaluate_scores(scores, shown, metrics, config.seed) for name, scores in systems.items()
    }
    result = TrainResult(
        folder=out,
        ranker=ranker,
        config=config,
        rounds=ranker.rounds,
        seconds=time.monotonic() - started,
        evaluation=None if valid is None else evaluations[THIS_MODEL],
        interrupted=watch.interrupted,
        notes=(*notes, *_alarms(ranker)),
        warnings=warnings,
    )
    report = training_report(
        config, ranker, data, valid, systems[THIS_MODEL], evaluations, watch, identity, warnings
    )
    save_artifact(
        out,
        ranker,
        facts=_facts(result, data, valid, identity, watch, baseline)
        | {"conventions": conventions_of(metrics)},
        golden=golden_rows(data.features, config.seed),
        extra={"report.html": render(report).encode()},
    )
    if not result.interrupted:
        drop_checkpoint(folder_for(out))
    return replace(result, interrupted=watch.interrupted)


def fit(config: TrainConfig, data: RankingDataset, valid: RankingDataset | None) -> Trained:
    """Train only: no folder, no report, no checkpoints (what cross-validation and benchmarks need)."""
    metric = Metric.parse(config.metric, **config.conventions)
    watch = RunWatch(config, metric, data, valid, None, None, None)
    return _trained(config, data, valid, watch, None)


def _trained(
    config: TrainConfig,
    data: RankingDataset,
    valid: RankingDataset | None,
    watch: RunWatch,
    checkpoint: Checkpoint | None,
) -> Trained:
    backend = _network if config.backend == NEURAL else _boosted
    return backend(config, data, valid, watch, checkpoint)


def _network(
    config: TrainConfig,
    data: RankingDataset,
    valid: RankingDataset | None,
    watch: RunWatch,
    checkpoint: Checkpoint | None,
) -> NeuralRanker:
    """The network of the best epoch. Raises MissingExtraError without torch."""
    loss = config.loss()
    from ranking.neural.fitting import NeuralJob
    from ranking.neural.fitting import fit as fit_network

    job = NeuralJob(
        train=data, valid=valid, loss=loss, settings=config.network, epochs=config.rounds, seed=config.seed,
        threads=config.threads, missing=config.missing, watch=watch,
        start=None if checkpoint is None else checkpoint.model,
    )  # fmt: skip
    return fit_network(job)


def _alarms(ranker: Trained) -> tuple[str, ...]:
    if isinstance(ranker, NeuralRanker) and ranker.audit.get("collapsed"):
        return (
            "the network has collapsed: it gives the documents of a list all but one score. Lower "
            "neural.rate, or take an objective that separates them (`rankwright losses`)",
        )
    return ()


def lessons(teacher: Ranker, data: RankingDataset) -> Float32:
    """What a student learns for labels: the teacher's scores, each list's from 0; float32 [documents]."""
    scores = score_dataset(teacher, data).astype(np.float64)
    least = np.repeat(np.minimum.reduceat(scores, data.offsets[:-1]), data.sizes)
    return np.asarray(scores - least, np.float32)


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
    state = None
    if config.backend != NEURAL:
        state = stateful(config.backend, config.booster_settings, config.builtin)
    if state is not None:
        return None, [f"{config.backend} cannot restore the state of {state}: started at round 0"]
    return checkpoint, [f"resumed after round {checkpoint.rounds}"]


def _boosted(
    config: TrainConfig,
    data: RankingDataset,
    valid: RankingDataset | None,
    watch: RunWatch,
    checkpoint: Checkpoint | None,
) -> TreeRanker:
    """The ranker, cut to its best round where early stopping is on or the run was interrupted."""
    builtin = config.builtin
    if valid is not None and config.early_stopping and rescales(config.backend, config.booster_settings):
        raise UsageError(
            "dart rescales earlier trees in every round, so that the best round cannot be kept: "
            "use --early-stopping 0"
        )
    job = Job(
        train=data,
        valid=valid,
        objective=objective_named(config.objective, config.objective_settings)
        if builtin is None
        else builtin or BACKENDS[config.backend].builtin,
        booster=config.booster_settings,
        categorical=categorical_columns(config.categorical, data),
        gain=config.gain,
        discount=config.discount,
        query_fraction=config.queries_a_tree,
        rounds=config.rounds,
        seed=config.seed,
        threads=config.threads,
        watch=watch,
        start=None if checkpoint is None else checkpoint.model,
    )
    # A run may have been killed after its last round: then there is nothing left to train.
    ended = checkpoint is not None and watch.finished
    model = checkpoint.model if checkpoint is not None and ended else boost(config.backend, job)
    names = tuple(data.name_of(i) for i in range(data.feature_count))
    ranker = TreeRanker.from_bytes(config.backend, model, feature_names=names, missing=config.missing)
    if not ranker.importance().any():
        raise DataError(
            "the booster found no split to make, so that every score would be the same: for little data "
            "lower booster.min_data_in_leaf (LightGBM) or booster.min_child_weight (XGBoost); "
            "or check the labels"
        )
    cut = (config.early_stopping or watch.interrupted) and not rescales(
        config.backend, config.booster_settings
    )
    keep = watch.best_round if cut else None
    if keep is None or keep >= ranker.rounds:
        return ranker
    short = first_rounds(config.backend, model, keep)
    return TreeRanker.from_bytes(config.backend, short, feature_names=names, missing=config.missing)


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
    return [Metric.parse(name, **config.conventions) for name in names]


def _facts(
    result: TrainResult,
    data: RankingDataset,
    valid: RankingDataset | None,
    identity: Mapping[str, Any],
    watch: RunWatch,
    baseline: FeatureBaseline,
) -> dict[str, Any]:
    """What the manifest says of the run; no times, so that equal runs give equal folders."""
    config = result.config
    resolved = config.resolved()
    facts: dict[str, Any] = {
        "objective": resolved.pop("objective"),
        "config": resolved,
        "seed": config.seed,
        "data": {"train": identity["train data"], "valid": identity["held-out data"]},
        "query_digests": {"train": sketch(data)} | ({} if valid is None else {"valid": sketch(valid)}),
        "rounds": result.rounds,
        "rounds_trained": watch.rounds,
        "interrupted": result.interrupted,
        "metrics": {},
        "baseline": {"feature": baseline.feature, "descending": baseline.descending},
        **({"audit": dict(result.ranker.audit)} if isinstance(result.ranker, NeuralRanker) else {}),
        **({"teacher": identity["teacher"]} if "teacher" in identity else {}),
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
