"""From trained models and held-out lists to an ensemble in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ranking.data.dataset import RankingDataset
from ranking.data.overlap import sketch
from ranking.data.profile import feature_profile, feature_ranges
from ranking.errors import UsageError
from ranking.metrics import Metric
from ranking.metrics.evaluation import evaluate_scores
from ranking.models.ensemble import EnsembleRanker, fit_ensemble
from ranking.models.folder import check_destination, golden_rows, save_artifact
from ranking.models.ranker import Ranker, score_dataset


@dataclass(frozen=True)
class Combined:
    """An ensemble and what each member is worth, on the lists that the weights were fitted on."""

    folder: Path
    ranker: EnsembleRanker
    metric: str
    members: tuple[tuple[str, float, float], ...]
    """(name, weight, metric)"""
    value: float

    def as_json(self) -> dict[str, Any]:
        return {
            "model": str(self.folder),
            "members": [{"model": n, "weight": w, self.metric: v} for n, w, v in self.members],
            "metrics": {"fitted": {self.metric: self.value}},
        }


def combine(members: Mapping[str, Ranker], data: RankingDataset, metric: Metric, out: Path | str) -> Combined:
    """Fit the weights of these rankers on `data` and save the ensemble as the artifact `out`.

    The weights are few, but they have seen these lists: measure the ensemble on others. Raises UsageError for
    members that do not take the same features, or a place that cannot be written.
    """
    check_destination(Path(out))
    if len(members) < 2:
        raise UsageError("an ensemble has at least two members: name two different model folders")
    ranker = fit_ensemble(list(members.values()), data)  # type: ignore[arg-type]
    fitting = data.with_width(ranker.feature_count, ranker.missing, ranker.feature_names)
    values = [metric.mean(score_dataset(member, fitting), fitting) for member in members.values()]
    weights = [part.weight for part in ranker.parts]
    evaluation = evaluate_scores(score_dataset(ranker, fitting), fitting, [metric])
    told = tuple(zip(members, weights, values, strict=True))
    facts = {
        "objective": {"name": "ensemble"},
        "members": [{"model": Path(n).name, "weight": w, str(metric): v} for n, w, v in told],
        "data": {"weights": fitting.fingerprint()},
        "query_digests": {"weights": sketch(fitting)},
        "metrics": {"fitted": dict(evaluation.means)},
        "conventions": dict(evaluation.conventions),
        "feature_ranges": feature_ranges(fitting.features),
        "feature_profile": feature_profile(fitting.features),
    }
    save_artifact(Path(out), ranker, facts=facts, golden=golden_rows(fitting.features, 0))
    return Combined(Path(out), ranker, str(metric), told, evaluation.means[str(metric)])
