"""What the service tells those who run it: Prometheus metrics, and log lines that are JSON objects."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from service.models import Model

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_CANDIDATES = (1, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


class Telemetry:
    """The metrics of one app, in a collector registry of its own: two apps in a process do not mix."""

    def __init__(self) -> None:
        self.collectors = CollectorRegistry()
        self.requests = Counter(
            "rankwright_requests",
            "Requests answered.",
            ("route", "method", "status"),
            registry=self.collectors,
        )
        self.latency = Histogram(
            "rankwright_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self.collectors,
        )
        self.in_flight = Gauge(
            "rankwright_requests_in_flight", "Requests under way.", registry=self.collectors
        )
        self.candidates = Histogram(
            "rankwright_candidates",
            "Candidates in a ranked request.",
            ("model",),
            buckets=_CANDIDATES,
            registry=self.collectors,
        )
        self.load_failures = Counter(
            "rankwright_model_load_failures",
            "Versions that would not load.",
            ("model",),
            registry=self.collectors,
        )
        self.models = Gauge(
            "rankwright_model_info",
            "1 for each version being served.",
            ("model", "version", "kind"),
            registry=self.collectors,
        )

    def serving(self, models: Iterable[Model]) -> None:
        """These and no others."""
        self.models.clear()
        for model in models:
            self.models.labels(model.name, model.version, model.ranker.kind).set(1)

    def exposition(self) -> bytes:
        return generate_latest(self.collectors)


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
