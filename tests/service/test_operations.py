"""Health, readiness, metrics and the list of models."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from service.telemetry import JsonFormatter
from tests.service.conftest import Client, Linear, OpenClient

A = {"id": "a", "features": [1, 2, 3]}


def test_alive_and_ready(client: Client) -> None:
    """With a model, both say yes."""
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}


def test_requests_are_counted_by_route_method_and_status(client: Client) -> None:
    """Paths that are no route share one label: a scanner cannot fill the memory."""
    for body in ({"candidates": [A]}, {"candidates": [A]}, {}):
        client.rank(body)
    client.get("/v1/models/nope")
    client.get("/x1")
    client.get("/x2")
    text = client.get("/metrics").text
    for route, method, status, count in (
        ("/v1/rank", "POST", 200, 2),
        ("/v1/rank", "POST", 422, 1),
        ("/v1/models/{reference}", "GET", 404, 1),
        ("unmatched", "GET", 404, 2),
    ):
        line = f'rankwright_requests_total{{method="{method}",route="{route}",status="{status}"}} {count}.0'
        assert line in text
    assert 'rankwright_request_seconds_count{route="/v1/rank"} 3.0' in text
    assert 'rankwright_candidates_sum{model="default"} 2.0' in text
    assert 'rankwright_model_info{kind="linear",model="default",version="0"} 1.0' in text
    assert "rankwright_requests_in_flight 1.0" in text  # the scrape itself


def test_two_apps_do_not_share_metrics(open_client: OpenClient) -> None:
    """Each has a collector registry of its own."""
    first, second = open_client(Linear()), open_client(Linear())
    first.rank({"candidates": [A]})
    assert 'route="/v1/rank"' not in second.get("/metrics").text


def test_models_are_listed_and_described(open_client: OpenClient) -> None:
    """What a caller needs to build a request."""
    client = open_client(Linear(missing="nan"), default_model="movies", max_candidates=9)
    assert client.get("/v1/models").json() == {
        "models": [{"name": "movies", "serving": "0", "versions": ["0"], "aliases": {}, "default": True}],
        "default": "movies",
    }
    assert client.get("/v1/models/movies").json() == {
        "name": "movies",
        "version": "0",
        "kind": "linear",
        "digest": "",
        "feature_count": 3,
        "feature_names": ["bm25", "ctr", "price"],
        "features": [{"name": "bm25"}, {"name": "ctr"}, {"name": "price"}],
        "missing": "nan",
        "metrics": {},
        "conventions": {},
        "limits": {"max_candidates": 9, "max_body_bytes": 8 << 20, "max_explained": 100, "max_batch": 100},
    }
    assert client.get("/v1/models/movies@0").json()["version"] == "0"


def test_a_log_line_is_one_json_object() -> None:
    """With what `extra` held, and the traceback inside."""
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.makeLogRecord({"name": "service", "msg": "a %s", "args": ("b",), "path": "/x"})
        record.exc_info = sys.exc_info()
    text = JsonFormatter().format(record)
    assert "\n" not in text
    line = json.loads(text)
    assert (line["message"], line["path"], line["logger"]) == ("a b", "/x", "service")
    assert "ValueError: two" in line["traceback"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v1/models", "/openapi.json"])
def test_everything_else_is_json_too(client: Client, path: str) -> None:
    """With its content type."""
    assert client.get(path).headers["content-type"] == "application/json"
