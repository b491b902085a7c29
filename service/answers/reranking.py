"""From candidates to their order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ranking.data.arrays import Float32, Float64, Int64
from ranking.models.ranker import explainer
from service.answers.batch import Batch
from service.answers.experiments import Interleaving
from service.errors import invalid
from service.models.table import Model
from service.wire.messages import Asked, Contributions, Explain


@dataclass(frozen=True)
class Ranked:
    """Candidates by falling score, then by their order in the request.

    `scores` float32 [candidates] are in the order of the request, `order` int64 [candidates] is the order of
    the answer. The answer shows `shown`, the first of these, with their `answered` scores float32 [shown],
    and of each its contributions, or the version that drafted it, where that is asked for.
    """

    scores: Float32
    order: Int64
    shown: Int64
    answered: Float32
    contributions: Sequence[Contributions] | None = None
    teams: Sequence[str] | None = None


def rank(asked: Asked, batch: Batch, model: Model, max_explained: int) -> Ranked:
    """The first `top_k` candidates, or all.

    Raises ApiError 422 where a score is not finite or more than `max_explained` are to be explained.
    """
    scores, order = _ordered(batch, model)
    shown = order[: asked.top_k]
    contributions = None
    if asked.explain:
        explain = asked.explain if isinstance(asked.explain, Explain) else Explain()
        contributions = _explained(batch.features, shown, model, explain.top_features, max_explained)
    return Ranked(scores, order, shown, scores[shown], contributions)


def drafted(
    asked: Asked, batches: Sequence[Batch], models: Sequence[Model], interleaving: Interleaving, who: str
) -> Ranked:
    """Two models' orders drafted into one list; a result has the score of the model that drafted it."""
    (first, order), (second, other) = (
        _ordered(batch, model) for batch, model in zip(batches, models, strict=True)
    )
    mixed, teams = interleaving.draft((order, other), who)
    shown, drafters = mixed[: asked.top_k], teams[: asked.top_k]
    names = [f"{model.name}@{model.version}" for model in models]
    answered: Float32 = np.stack((first, second))[drafters, shown]
    return Ranked(first, mixed, shown, answered, teams=[names[team] for team in drafters.tolist()])


def _ordered(batch: Batch, model: Model) -> tuple[Float32, Int64]:
    scores = model.ranker.score(batch.features)
    _check_finite(scores)
    return scores, np.argsort(-scores, kind="stable")


def _check_finite(scores: Float32) -> None:
    finite = np.isfinite(scores)
    if not finite.all():
        index = int(np.argmin(finite))
        raise invalid(
            "score_not_finite",
            f"candidate {index} has no finite score: its features are too far out to compute with",
            index=index,
        )


def _explained(
    features: Float32, shown: Int64, model: Model, top: int, max_explained: int
) -> list[Contributions]:
    ranker = explainer(model.ranker)
    if ranker is None:
        raise invalid(
            "no_explanation", f"a model of kind {model.ranker.kind} has no contributions", path="explain"
        )
    if len(shown) > max_explained:
        raise invalid(
            "too_many_explained",
            f"{len(shown)} candidates would be explained, at most {max_explained} are: set top_k",
            path="explain",
            limit=max_explained,
        )
    rows = ranker.contributions(features[shown])
    return [_contributions(row, ranker.feature_names, top) for row in rows]


def _contributions(row: Float64, names: Sequence[str], top: int) -> Contributions:
    """The `top` largest by size, and the sum of the rest; row is float64 [features + 1], the bias last."""
    by_size = np.argsort(-np.abs(row[:-1]), kind="stable")
    values = {names[feature]: float(row[feature]) for feature in by_size[:top].tolist()}
    return Contributions(float(row[-1]), values, math.fsum(row[by_size[top:]].tolist()))
