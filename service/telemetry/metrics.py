"""What the service tells those who run it: Prometheus metrics, and log lines that are JSON objects."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.registry import Collector

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder in which several workers keep their metrics together."""

OTHER = "other"
"""The label of whatever a caller chose that has none of its own."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_CANDIDATES = (1, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
_SCORES = (-10, -5, -2, -1, -0.5, -0.2, -0.1, 0, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_TAUS = (-1, -0.5, 0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1)
_SHARES = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)
_VERSION = ("model", "version")
_SHADOW = ("model", "version", "shadow")


class Telemetry:
    """The metrics of one app, in a collector registry of its own: two apps in a process do not mix.

    No label is a caller's to fill: each new one is memory, here and in whatever scrapes. `events` are the
    types of feedback that have a label of their own, `references` ("movies@8") versions that have, besides
    those that are or were served under a name or an alias.
    """

    def __init__(self, events: Iterable[str] = (), references: Iterable[str] = ()) -> None:
        self._events, self._labelled = frozenset(events), set(references)
        self.collectors = CollectorRegistry()
        self.computed: list[Collector] = []
        self.requests = self._counter(
            "rankwright_requests", "Requests answered.", ("route", "method", "status")
        )
        self.latency = self._histogram(
            "rankwright_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ("route",),
            _SECONDS,
        )
        self.in_flight = Gauge(
            "rankwright_requests_in_flight",
            "Requests under way.",
            registry=self.collectors,
            multiprocess_mode="livesum",
        )
        self.candidates = self._histogram(
            "rankwright_candidates", "Candidates in a ranked request.", ("model",), _CANDIDATES
        )
        self.load_failures = self._counter(
            "rankwright_model_load_failures", "Versions that would not load.", ("model",)
        )
        self.stages = self._histogram(
            "rankwright_stage_seconds", "Stages of a ranked request.", ("model", "stage"), _SECONDS
        )
        self.queue_wait = self._histogram(
            "rankwright_queue_wait_seconds", "Waiting for a scoring thread.", (), _SECONDS
        )
        self.shed = self._counter(
            "rankwright_shed", "Requests refused for want of room or time.", ("status",)
        )
        self.swaps = self._counter(
            "rankwright_model_swaps", "References that were given another version.", ("model",)
        )
        self.observed = self._counter(
            "rankwright_observed_candidates", "Candidates looked at for the metrics below.", _VERSION
        )
        self.missing = self._counter(
            "rankwright_missing_values", "Missing values among them.", (*_VERSION, "feature")
        )
        self.outside = self._counter(
            "rankwright_outside_training_range",
            "Values outside the range of training.",
            (*_VERSION, "feature"),
        )
        self.ties = self._counter(
            "rankwright_tied_scores", "Scores that equal another's in the list.", _VERSION
        )
        self.scores = self._histogram("rankwright_scores", "Scores of candidates.", _VERSION, _SCORES)
        self.shadow_requests = self._counter(
            "rankwright_shadow_requests", "Requests that a shadow scored too.", _SHADOW
        )
        self.shadow_failures = self._counter(
            "rankwright_shadow_failures", "Requests the shadow could not score.", _SHADOW
        )
        self.shadow_changed = self._counter(
            "rankwright_shadow_changed_first", "Requests where the shadow puts another first.", _SHADOW
        )
        self.shadow_tau = self._histogram(
            "rankwright_shadow_kendall_tau", "Kendall's tau-b with the shadow's scores.", _SHADOW, _TAUS
        )
        self.shadow_overlap = self._histogram(
            "rankwright_shadow_overlap_at_10",
            "Share of the first ten that the shadow has too.",
            _SHADOW,
            _SHARES,
        )
        self.dropped = self._counter(
            "rankwright_background_dropped", "Background jobs dropped because too many waited.", ("queue",)
        )
        self.events = self._counter("rankwright_feedback_events", "Feedback events taken.", ("type",))
        self.models = Gauge(
            "rankwright_model_info",
            "1 for each version being served, 0 for one that no longer is.",
            ("model", "version", "kind"),
            registry=self.collectors,
            multiprocess_mode="livemax",
        )
        self._served: set[tuple[str, str, str]] = set()

    def _counter(self, name: str, text: str, labels: Sequence[str]) -> Counter:
        return Counter(name, text, labels, registry=self.collectors)

    def _histogram(self, name: str, text: str, labels: Sequence[str], buckets: Sequence[float]) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.collectors)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """One request."""
        self.requests.labels(route, method if method in METHODS else OTHER, status).inc()
        self.latency.labels(route).observe(seconds)

    def took(self, event: str) -> None:
        """One feedback event of this type."""
        self.events.labels(event if event in self._events else OTHER).inc()

    def version_label(self, name: str, version: str) -> str:
        """The label of a model's version: a caller may ask for any that is on disk."""
        return version if f"{name}@{version}" in self._labelled else OTHER

    def serving(self, models: Iterable[tuple[str, str, str]]) -> None:
        """These and no others: name, version and kind of each."""
        served = set(models)
        self._labelled |= {f"{name}@{version}" for name, version, _ in served}
        for gone in self._served - served:
            # Set, not removed: files shared by workers cannot forget a label.
            self.models.labels(*gone).set(0)
        for labels in served:
            self.models.labels(*labels).set(1)
        self._served = served

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format; of all workers, where there are several.

        What is computed when it is asked for (drift) is that of the worker that was asked.
        """
        if METRICS_VARIABLE not in os.environ:
            return generate_latest(self.collectors)
        shared = CollectorRegistry()
        multiprocess.MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
        for collector in self.computed:
            shared.register(collector)
        return generate_latest(shared)

    def compute(self, collector: Collector) -> None:
        """A collector whose metrics are computed when they are asked for."""
        self.computed.append(collector)
        self.collectors.register(collector)


_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, whatever `extra` held, and the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_as_json() -> None:
    """Send this service's and uvicorn's lines to stderr as JSON."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    for name in ("service", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO if name == "service" else logging.WARNING)
