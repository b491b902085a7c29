"""The content of the one-page report of a training run; `ranking.training.page` draws it.

Nothing here depends on the clock, so that equal runs write equal pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ranking.data.arrays import Float32
from ranking.data.dataset import RankingDataset
from ranking.metrics.evaluation import Evaluation, compare_evaluations
from ranking.training.page import Curve, Estimate, MetricRow, Report, ScoreDistribution
from ranking.training.written import flattened

if TYPE_CHECKING:
    from ranking.training.config import TrainConfig
    from ranking.training.trainers import Trained
    from ranking.training.watch import RunWatch


def training_report(
    config: TrainConfig,
    ranker: Trained,
    data: RankingDataset,
    valid: RankingDataset | None,
    scores: Float32,
    evaluations: Mapping[str, Evaluation],
    watch: RunWatch,
    identity: Mapping[str, Any],
    warnings: Sequence[str] = (),
) -> Report:
    """The page of a run; the first of `evaluations` is the model's, on held-out lists if there are any."""
    shown, measured_on = (data, "training") if valid is None else (valid, "held-out")
    systems = list(evaluations)
    return Report(
        title=f"{config.backend} · {config.objective}",
        summary=[*_summary(config, ranker, data, valid, watch), *(("warning", text) for text in warnings)],
        curves=_curves(watch),
        curve_metric=config.metric,
        best_round=watch.best_round,
        systems=systems,
        metrics=_rows(evaluations, shown),
        importance=_importance(ranker, data),
        distribution=ScoreDistribution.of(scores, shown.labels),
        conventions=_conventions(evaluations[systems[0]], measured_on),
        config=[(key, str(value)) for key, value in flattened(config.resolved())],
        fingerprints=[(part, identity[part]) for part in ("train data", "held-out data") if identity[part]],
    )


def _summary(
    config: TrainConfig,
    ranker: Trained,
    data: RankingDataset,
    valid: RankingDataset | None,
    watch: RunWatch,
) -> list[tuple[str, str]]:
    facts = [
        ("backend", config.backend),
        ("objective", config.objective),
        ("rounds kept", f"{ranker.rounds} of {watch.rounds} trained"),
        ("training data", f"{data.query_count} queries, {data.document_count} documents"),
        ("features", f"{data.feature_count}, absent is {config.missing}"),
    ]
    if valid is not None:
        facts.insert(4, ("held-out data", f"{valid.query_count} queries, {valid.document_count} documents"))
    return [*facts, ("interrupted", "after the last round shown")] if watch.interrupted else facts


def _curves(watch: RunWatch) -> list[Curve]:
    parts = {"valid": watch.history, "train": watch.train_history}
    return [Curve(name, list(range(1, len(h) + 1)), h) for name, h in parts.items() if h]


def _rows(evaluations: Mapping[str, Evaluation], shown: RankingDataset) -> list[MetricRow]:
    """Metrics by systems; a baseline carries the model's difference to it and Holm's p."""
    ours, *others = evaluations.values()
    against = [compare_evaluations(ours, other, shown.query_weights) for other in others]
    return [
        MetricRow(
            metric,
            [
                Estimate(ours.means[metric], *ours.intervals[metric]),
                *(
                    Estimate(
                        other.means[metric],
                        *other.intervals[metric],
                        difference=compared[metric].difference,
                        p=compared[metric].p_holm,
                    )
                    for other, compared in zip(others, against, strict=True)
                ),
            ],
        )
        for metric in ours.means
    ]


def _importance(ranker: Trained, data: RankingDataset) -> list[tuple[str, float]]:
    gains = ranker.importance()
    shares = gains / (gains.sum() or 1.0)
    return [(data.name_of(i), float(shares[i])) for i in (-gains).argsort(kind="stable") if shares[i] > 0]


def _conventions(evaluation: Evaluation, measured_on: str) -> str:
    stated = ", ".join(f"{key} = {value}" for key, value in evaluation.conventions.items())
    return (
        f"Measured on the {measured_on} queries. {stated}. Intervals: 95 % bootstrap over queries; "
        "p: paired randomisation test, Holm-corrected over the metrics."
    )
