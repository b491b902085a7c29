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
    from ranking.training.watch import Course

_FEW = 50
"""Queries below which the page says what an interval means."""


def training_report(
    config: TrainConfig,
    ranker: Trained,
    data: RankingDataset,
    valid: RankingDataset | None,
    shown: RankingDataset,
    scores: Float32,
    evaluations: Mapping[str, Evaluation],
    course: Course,
    identity: Mapping[str, Any],
    *,
    measured_on: str,
    members: Sequence[Mapping[str, Any]] = (),
    interrupted: bool = False,
    warnings: Sequence[str] = (),
) -> Report:
    """The page of a run; the first of `evaluations` is the model's, on the lists that are shown.

    `measured_on` is "held-out", "training", or "out of fold", where `members` are what the manifest says of
    each.
    """
    systems = list(evaluations)
    summary = _summary(config, ranker, data, valid, course)
    summary += [("members", _told(members))] if members else []
    summary += audit_lines(getattr(ranker, "audit", {}))
    summary += [("interrupted", "after the last round shown")] if interrupted else []
    return Report(
        title=f"{config.backend} · {config.objective}",
        summary=[*summary, *(("warning", text) for text in warnings)],
        curves=[Curve(name, list(range(1, len(h) + 1)), h) for name, h in course.curves.items() if h],
        curve_metric=config.metric,
        best_round=course.best_round,
        systems=systems,
        metrics=_rows(evaluations, shown),
        importance=_importance(ranker, data),
        distribution=ScoreDistribution.of(scores, shown.labels),
        measured_on=measured_on,
        conventions=_conventions(evaluations[systems[0]], measured_on, shown.query_count),
        config=[(key, str(value)) for key, value in flattened(config.resolved())],
        fingerprints=[(part, identity[part]) for part in ("train data", "held-out data") if identity[part]],
    )


def _summary(
    config: TrainConfig, ranker: Trained, data: RankingDataset, valid: RankingDataset | None, course: Course
) -> list[tuple[str, str]]:
    facts = [
        ("backend", config.backend),
        ("objective", config.objective),
        ("rounds kept", f"{ranker.rounds} of {course.rounds} trained"),
        ("training data", f"{data.query_count} queries, {data.document_count} documents"),
        ("features", f"{data.feature_count}, absent is {config.missing}"),
    ]
    if valid is not None:
        facts.insert(4, ("held-out data", f"{valid.query_count} queries, {valid.document_count} documents"))
    return facts


def audit_lines(audit: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a network's training says of itself, first epoch to last; none for trees."""
    epochs = audit.get("epochs") or []
    if not epochs:
        return []
    first, last = epochs[0], epochs[-1]
    lines = [
        ("loss", f"{first['loss']:.4g} to {last['loss']:.4g} over {len(epochs)} epochs"),
        (
            "gradient norm",
            f"{first['gradient_norm']:.3g} to {last['gradient_norm']:.3g}, before it is clipped",
        ),
        ("active pairs", f"{first['active_pairs']:.0%} to {last['active_pairs']:.0%}, led by less than 1"),
        ("spread of a list's scores", f"{first['score_spread']:.3g} to {last['score_spread']:.3g}"),
    ]
    if "teacher_distance" in last:
        told = f"{first['teacher_distance']:.3g} to {last['teacher_distance']:.3g}; 1 knows nothing of it"
        lines.append(("squared distance to the teacher", told))
    return lines


def _told(members: Sequence[Mapping[str, Any]]) -> str:
    """Each member's objective, trees, and value on the queries it was not trained on."""
    told = []
    for member in members:
        ((metric, value),) = member["metrics"]["valid"].items()
        told.append(f"{member['objective']['name']}: {member['trees']} trees, {metric} {value:.4f}")
    return "; ".join(told)


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


def _conventions(evaluation: Evaluation, measured_on: str, queries: int) -> str:
    stated = ", ".join(f"{key} = {value}" for key, value in evaluation.conventions.items())
    lists = f"the {measured_on} queries"
    if measured_on == "out of fold":
        lists = (
            "all training queries, each scored by the members that have not seen it (out of fold): what one "
            "member is worth, below what all of them together are"
        )
    told = (
        f"Measured on {lists}. {stated}. Intervals: 95 % bootstrap over queries; "
        "p: paired randomisation test, Holm-corrected over the metrics."
    )
    if queries < _FEW:
        told += (
            f" These are {queries} queries, which is few: an interval is what the value may be on other "
            "queries of the kind, and two models whose values lie inside it are not told apart."
        )
    return told
