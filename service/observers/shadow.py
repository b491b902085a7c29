"""A second version that scores what the first has answered, in the background: how far do they agree?"""

from __future__ import annotations

import numpy as np
from scipy.stats import kendalltau

from ranking.data.arrays import Float32
from service.answers.answer import Answer
from service.answers.experiments import sampled
from service.errors import ApiError
from service.models.table import Model, Models
from service.observers.background import Background
from service.telemetry.metrics import Telemetry

OVERLAP_AT = 10


class Shadow:
    """An observer of answers: a share of the requests for a name is scored by another version as well.

    Nobody waits for it and nothing of it is answered. Kendall's tau-b, the overlap of the first ten and
    whether the first is another are counted in the metrics, by both versions.
    """

    def __init__(
        self, reference: str, share: float, models: Models, telemetry: Telemetry, background: Background
    ) -> None:
        self._reference, self._share = reference, share
        self._name = reference.partition("@")[0].partition(":")[0]
        self._models, self._telemetry, self._background = models, telemetry, background

    def __call__(self, answer: Answer) -> None:
        if answer.model.name == self._name and sampled("shadow", answer.unit, self._share):
            self._background.submit(lambda: self._compare(answer))

    def _compare(self, answer: Answer) -> None:
        labels = (
            answer.model.name,
            self._telemetry.version_label(answer.model.name, answer.model.version),
            self._reference,
        )
        try:
            shadow = self._models.find(self._reference)
        except ApiError:
            self._telemetry.shadow_failures.labels(*labels).inc()
            return
        if shadow.version == answer.model.version:
            return
        scores = shadow.ranker.score(_translated(answer, shadow))
        tau, overlap, changed = agreement(answer.ranked.scores, scores)
        self._telemetry.shadow_tau.labels(*labels).observe(tau)
        self._telemetry.shadow_overlap.labels(*labels).observe(overlap)
        self._telemetry.shadow_changed.labels(*labels).inc(changed)
        self._telemetry.shadow_requests.labels(*labels).inc()


def _translated(answer: Answer, shadow: Model) -> Float32:
    """The rows in the other model's columns; what the first does not know is missing there."""
    model, rows = answer.model, answer.batch.features
    if shadow.feature_names == model.feature_names:
        return rows
    missing = 0.0 if shadow.ranker.missing == "zero" else np.nan
    full = np.full((len(rows), shadow.feature_count), missing, np.float32)
    for name, column in shadow.columns.items():
        if name in model.columns:
            full[:, column] = rows[:, model.columns[name]]
    return full


def agreement(one: Float32, other: Float32) -> tuple[float, float, bool]:
    """(Kendall's tau-b, overlap of the first ten as a share of them, whether the first is another).

    Equal scores keep the order of the request, as in every answer. A list of one agrees with itself.
    """
    first = np.argsort(-one, kind="stable")
    second = np.argsort(-other, kind="stable")
    depth = min(OVERLAP_AT, len(one))
    overlap = len(np.intersect1d(first[:depth], second[:depth])) / depth
    tau = 1.0 if len(one) < 2 else float(kendalltau(one, other).statistic)
    return (tau if np.isfinite(tau) else 0.0), overlap, bool(first[0] != second[0])
