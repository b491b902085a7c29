"""From trained models and held-out lists to an ensemble in its folder.

Members are divided by their spread and weigh the same, unless weights fitted on the lists rank queries better
that they were not fitted on. Members that are forests of one backend become one forest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ranking.data.arrays import Float64
from ranking.data.dataset import RankingDataset
from ranking.data.overlap import sketch
from ranking.data.profile import feature_profile, feature_ranges
from ranking.errors import DataError, UsageError
from ranking.metrics import Metric
from ranking.metrics.comparison import paired_randomisation
from ranking.metrics.evaluation import evaluate_scores
from ranking.models.ensemble import EnsembleRanker, Standardised
from ranking.models.folder import check_destination, golden_rows, save_artifact
from ranking.models.ranker import Ranker, score_dataset
from ranking.training.dealing import dealt_queries
from ranking.trees.merging import merged
from ranking.trees.ranker import TreeRanker

_FOLDS = 5
_SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Weighing:
    """The members' weights, and how they were found.

    difference   fitted minus equal weights: the metric of queries that they were not fitted on, paired; None
                 where there are too few to tell
    p            of that, by the paired randomisation test
    """

    weights: Float64
    fitted: bool
    difference: float | None = None
    p: float | None = None

    def as_json(self) -> dict[str, Any]:
        return {"fitted": self.fitted, "difference": self.difference, "p": self.p}


@dataclass(frozen=True)
class Combined:
    """An ensemble and what each member is worth, on the lists that were given."""

    folder: Path
    ranker: EnsembleRanker | TreeRanker
    metric: str
    members: tuple[tuple[str, float, float], ...]
    """(name, weight, metric)"""
    value: float
    weighing: Weighing

    def as_json(self) -> dict[str, Any]:
        return {
            "model": str(self.folder),
            "kind": self.ranker.kind,
            "members": [{"model": n, "weight": w, self.metric: v} for n, w, v in self.members],
            "weights": self.weighing.as_json(),
            "metrics": {"fitted": {self.metric: self.value}},
        }


def combine(members: Mapping[str, Ranker], data: RankingDataset, metric: Metric, out: Path | str) -> Combined:
    """Make an ensemble of these rankers by the lists `data` and save it as the artifact `out`.

    Spreads and weights are few, but they have seen these lists: measure the ensemble on others. Raises
    UsageError for members that do not take the same features, or a place that cannot be written.
    """
    check_destination(Path(out))
    if len(members) < 2:
        raise UsageError("an ensemble has at least two members: name two different model folders")
    standardised = Standardised.of(list(members.values()), data)  # type: ignore[arg-type]
    fitting = standardised.data
    weighing = weigh(standardised, metric)
    ranker = _as_one(standardised, weighing.weights)
    values = [metric.mean(score_dataset(member, fitting), fitting) for member in members.values()]
    evaluation = evaluate_scores(score_dataset(ranker, fitting), fitting, [metric])
    told = tuple(zip(members, weighing.weights.tolist(), values, strict=True))
    result = Combined(Path(out), ranker, str(metric), told, evaluation.means[str(metric)], weighing)
    facts = {
        "objective": {"name": "ensemble"},
        "members": _facts(result, list(members.values())),
        "weights": weighing.as_json(),
        "data": {"weights": fitting.fingerprint()},
        "query_digests": {"weights": sketch(fitting)},
        "metrics": {"fitted": dict(evaluation.means)},
        "conventions": dict(evaluation.conventions),
        "feature_ranges": feature_ranges(fitting.features),
        "feature_profile": feature_profile(fitting.features),
    }
    save_artifact(Path(out), ranker, facts=facts, golden=golden_rows(fitting.features, 0))
    return result


def weigh(members: Standardised, metric: Metric) -> Weighing:
    """Equal weights, or fitted ones where these rank queries significantly better that they have not seen.

    The queries are dealt into five folds; each is measured with weights fitted on the others.
    """
    data, equal = members.data, members.equal_weights()
    try:
        fold = dealt_queries(data, _FOLDS, 0)
        scores = np.zeros(data.document_count)
        for number in range(_FOLDS):
            held = np.repeat(fold == number, data.sizes)
            weights = members.fitted_weights(np.flatnonzero(fold != number))
            scores[held] = weights @ members.scores[:, held]
    except (DataError, UsageError):  # too few queries, or nothing to learn from them
        return Weighing(equal, fitted=False)
    ours, theirs = metric.per_query(scores, data), metric.per_query(equal @ members.scores, data)
    counted = ~(np.isnan(ours) | np.isnan(theirs))
    ours, theirs = ours[counted], theirs[counted]
    difference, p = float(np.mean(ours - theirs)), paired_randomisation(ours, theirs)
    if difference > 0 and p < _SIGNIFICANT:
        return Weighing(members.fitted_weights(), True, difference, p)
    return Weighing(equal, False, difference, p)


def _as_one(members: Standardised, weights: Float64) -> EnsembleRanker | TreeRanker:
    """One forest where all that count are forests of one backend, else an ensemble."""
    counting = [at for at, weight in enumerate(weights) if weight > 0]
    forests = [one for at in counting if isinstance(one := members.members[at], TreeRanker)]
    if len(forests) < len(counting) or len({forest.kind for forest in forests}) > 1:
        return members.ensemble(weights)
    return merged(forests, [weights[at] / members.spreads[at] for at in counting])


def _facts(result: Combined, rankers: Sequence[Ranker]) -> list[dict[str, Any]]:
    """Of each member; of those of one forest also how many of its trees are theirs."""
    told = []
    for (name, weight, value), ranker in zip(result.members, rankers, strict=True):
        one: dict[str, Any] = {"model": Path(name).name, "weight": weight, result.metric: value}
        if isinstance(result.ranker, TreeRanker):
            kept = isinstance(ranker, TreeRanker) and weight > 0
            one["trees"] = ranker.evaluator.forest.tree_count if kept else 0  # type: ignore[attr-defined]
        told.append(one)
    return told
