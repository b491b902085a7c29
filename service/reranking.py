"""From a decoded request to the ordered reply."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np

from ranking.dataset import Float32, Float64, Int64
from service.candidates import to_batch
from service.errors import invalid, new_request_id
from service.messages import Contributions, Explain, RankReply, RankRequest, Result, Timing
from service.models import Model
from service.settings import Settings


def rank(request: RankRequest, model: Model, settings: Settings, started: float) -> RankReply:
    """Candidates by falling score, then by their order in the request; the first `top_k`, or all.

    `started` is the `time.perf_counter()` at which the body was there. Raises ApiError as `to_batch` does,
    and 422 where a score is not finite or more candidates are to be explained than the settings allow.
    """
    batch = to_batch(request, model, settings.max_candidates)
    parsed = time.perf_counter()
    scores = model.ranker.score(batch.features)
    _check_finite(scores)
    order = np.argsort(-scores, kind="stable")[: request.top_k]
    results = [
        Result(batch.ids[index], index, place, score)
        for place, (index, score) in enumerate(zip(order.tolist(), scores[order].tolist(), strict=True), 1)
    ]
    if request.explain:
        explain = request.explain if isinstance(request.explain, Explain) else Explain()
        _explain(results, batch.features, order, model, explain.top_features, settings.max_explained)
    ended = time.perf_counter()
    return RankReply(
        request.request_id or new_request_id(),
        model.name,
        model.version,
        results,
        batch.warnings,
        Timing(_ms(parsed - started), _ms(ended - parsed), _ms(ended - started)),
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _check_finite(scores: Float32) -> None:
    finite = np.isfinite(scores)
    if not finite.all():
        index = int(np.argmin(finite))
        raise invalid(
            "score_not_finite",
            f"candidate {index} has no finite score: its features are too far out to compute with",
            index=index,
        )


def _explain(
    results: Sequence[Result], features: Float32, order: Int64, model: Model, top: int, max_explained: int
) -> None:
    if len(results) > max_explained:
        raise invalid(
            "too_many_explained",
            f"{len(results)} candidates would be explained, at most {max_explained} are: set top_k",
            path="explain",
            limit=max_explained,
        )
    rows = model.ranker.contributions(features[order])
    for result, row in zip(results, rows, strict=True):
        result.contributions = _contributions(row, model.feature_names, top)


def _contributions(row: Float64, names: Sequence[str], top: int) -> Contributions:
    """The `top` largest by size, and the sum of the rest; row is float64 [features + 1], the bias last."""
    by_size = np.argsort(-np.abs(row[:-1]), kind="stable")
    values = {names[feature]: float(row[feature]) for feature in by_size[:top].tolist()}
    return Contributions(float(row[-1]), values, math.fsum(row[by_size[top:]].tolist()))
