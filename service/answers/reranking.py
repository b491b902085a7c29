"""From a decoded request to the ordered reply."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ranking.data.arrays import Float32, Float64, Int64
from ranking.models.ranker import Explainer, explainer
from service.answers.candidates import Batch
from service.answers.experiments import Interleaving
from service.errors import invalid, new_request_id
from service.models.table import Model
from service.settings import Settings
from service.wire.messages import Asked, Contributions, Explain, RankReply, Result, Timing


@dataclass(frozen=True)
class Ranked:
    """A reply with the scores of all candidates, float32 [candidates], and their order."""

    reply: RankReply
    scores: Float32
    order: Int64


def rank(asked: Asked, batch: Batch, model: Model, settings: Settings, started: float) -> Ranked:
    """Candidates by falling score, then by their order in the request; the first `top_k`, or all.

    `started` is the `time.perf_counter()` at which the body was there. Raises ApiError 422 where a score is
    not finite or more candidates are to be explained than the settings allow.
    """
    parsed = time.perf_counter()
    scores, order = _ordered(batch, model)
    shown = order[: asked.top_k]
    results = [
        Result(batch.ids[index], index, place, score)
        for place, (index, score) in enumerate(zip(shown.tolist(), scores[shown].tolist(), strict=True), 1)
    ]
    if asked.explain:
        ranker = explainer(model.ranker)
        if ranker is None:
            raise invalid(
                "no_explanation", f"a model of kind {model.ranker.kind} has no contributions", path="explain"
            )
        explain = asked.explain if isinstance(asked.explain, Explain) else Explain()
        _explain(results, batch.features, shown, ranker, explain.top_features, settings.max_explained)
    reply = _reply(asked, model.name, model.version, results, batch, (started, parsed))
    return Ranked(reply, scores, order)


def drafted(
    asked: Asked,
    batches: Sequence[Batch],
    models: Sequence[Model],
    interleaving: Interleaving,
    who: str,
    started: float,
) -> Ranked:
    """Two models' orders drafted into one list; a result has the score of the model that drafted it."""
    parsed = time.perf_counter()
    (first, order), (second, other) = (
        _ordered(batch, model) for batch, model in zip(batches, models, strict=True)
    )
    mixed, teams = interleaving.draft((order, other), who)
    scores = np.stack((first, second))
    names = [f"{model.name}@{model.version}" for model in models]
    ids = batches[0].ids
    results = [
        Result(ids[index], index, place, float(scores[team, index]), team=names[team])
        for place, (index, team) in enumerate(
            zip(mixed[: asked.top_k].tolist(), teams[: asked.top_k].tolist(), strict=True), 1
        )
    ]
    version = "+".join(model.version for model in models)
    reply = _reply(asked, models[0].name, version, results, batches[0], (started, parsed))
    return Ranked(reply, first, mixed)


def _ordered(batch: Batch, model: Model) -> tuple[Float32, Int64]:
    scores = model.ranker.score(batch.features)
    _check_finite(scores)
    return scores, np.argsort(-scores, kind="stable")


def _reply(
    asked: Asked, name: str, version: str, results: list[Result], batch: Batch, times: tuple[float, float]
) -> RankReply:
    started, parsed = times
    ended = time.perf_counter()
    timing = Timing(_ms(parsed - started), _ms(ended - parsed), _ms(ended - started))
    return RankReply(asked.request_id or new_request_id(), name, version, results, batch.warnings, timing)


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
    results: Sequence[Result],
    features: Float32,
    order: Int64,
    ranker: Explainer,
    top: int,
    max_explained: int,
) -> None:
    if len(results) > max_explained:
        raise invalid(
            "too_many_explained",
            f"{len(results)} candidates would be explained, at most {max_explained} are: set top_k",
            path="explain",
            limit=max_explained,
        )
    rows = ranker.contributions(features[order])
    for result, row in zip(results, rows, strict=True):
        result.contributions = _contributions(row, ranker.feature_names, top)


def _contributions(row: Float64, names: Sequence[str], top: int) -> Contributions:
    """The `top` largest by size, and the sum of the rest; row is float64 [features + 1], the bias last."""
    by_size = np.argsort(-np.abs(row[:-1]), kind="stable")
    values = {names[feature]: float(row[feature]) for feature in by_size[:top].tolist()}
    return Contributions(float(row[-1]), values, math.fsum(row[by_size[top:]].tolist()))
