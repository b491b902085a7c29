"""What the metrics learn from answers: stages, candidates, scores, ties, missing and drifting features."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

import numpy as np
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.answers.answer import Answer
from service.observers.background import Background
from service.observers.drift import Drift
from service.telemetry.metrics import OTHER, Telemetry

logger = logging.getLogger(__name__)

KEPT_MODELS = 16


class Observing:
    """An observer of answers. The costly part is done in the background, for so many answers a second."""

    def __init__(self, telemetry: Telemetry, background: Background, per_second: float) -> None:
        self._telemetry, self._background = telemetry, background
        self._pause = 1 / per_second if per_second > 0 else float("inf")
        self._next = 0.0
        self._drifts = Drifts()
        telemetry.compute(self._drifts)

    def __call__(self, answer: Answer) -> None:
        name, timing = answer.model.name, answer.timing
        self._telemetry.stages.labels(name, "parse").observe(timing.parse / 1000)
        self._telemetry.stages.labels(name, "score").observe(timing.score / 1000)
        self._telemetry.candidates.labels(name).observe(len(answer.batch.ids))
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._pause
            self._background.submit(lambda: self._look(answer))

    def _look(self, answer: Answer) -> None:
        model, batch, scores = answer.model, answer.batch, answer.ranked.scores
        telemetry, version = self._telemetry, self._telemetry.version_label(model.name, model.version)
        labels = (model.name, version)
        telemetry.observed.labels(*labels).inc(len(scores))
        for column in np.flatnonzero(batch.missing):
            telemetry.missing.labels(*labels, model.feature_names[column]).inc(int(batch.missing[column]))
        for column in np.flatnonzero(batch.outside):
            telemetry.outside.labels(*labels, model.feature_names[column]).inc(int(batch.outside[column]))
        telemetry.ties.labels(*labels).inc(len(scores) - len(np.unique(scores)))
        histogram = telemetry.scores.labels(*labels)
        for score in scores[:100].tolist():
            histogram.observe(score)
        if version != OTHER:
            self._drifts.add(answer)


def log_answer(answer: Answer) -> None:
    """An observer: one log line an answer, under its request id."""
    logger.info(
        "ranked",
        extra={
            "request_id": answer.request_id,
            "model": answer.model.name,
            "version": answer.version,
            "candidates": len(answer.batch.ids),
            "returned": len(answer.ranked.shown),
            "milliseconds": answer.timing.total,
        },
    )


class Drifts(Collector):
    """The stability index of every feature of the models served last, computed when it is asked for."""

    def __init__(self) -> None:
        self._by_model: dict[tuple[str, str], Drift] = {}
        self._lock = threading.Lock()

    def add(self, answer: Answer) -> None:
        key = (answer.model.name, answer.model.version)
        with self._lock:
            drift = self._by_model.pop(key, None) or Drift(answer.model)
            self._by_model[key] = drift
            while len(self._by_model) > KEPT_MODELS:
                self._by_model.pop(next(iter(self._by_model)))
        drift.add(answer.batch.features)

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "rankwright_feature_drift",
            "Population stability index of served values against training.",
            labels=("model", "version", "feature"),
        )
        with self._lock:
            drifts = dict(self._by_model)
        for (name, version), drift in drifts.items():
            for feature, index in drift.indices():
                family.add_metric((name, version, feature), index)
        yield family
