"""Health, readiness, metrics and the list of models."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from pathlib import Path

import httpx
import pytest

from service.models.table import Model
from service.telemetry.metrics import JsonFormatter, Telemetry
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


def labels_of(client: Client) -> set[str]:
    """Every series of /metrics, without its value."""
    lines = client.get("/metrics").text.splitlines()
    return {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}


def test_no_label_is_a_clients_to_fill(open_client: OpenClient, tmp_path: Path) -> None:
    """Ten times as much of everything a request can say makes no series more."""
    client = open_client(
        Linear(missing="nan"), default_model="movies", journal=tmp_path, observed_per_second=1e6
    )
    served = client.app.state.models.find(None)
    older = {f"movies@{number}": Model("movies", str(number), Linear()) for number in range(100, 200)}
    client.app.state.models.replace({"movies": served, "movies@0": served} | older)

    def ask(count: int) -> set[str]:
        for i in range(count):
            text = f"{count}-{i}"
            for method in ("GET", "POST", f"M{i}", "PROPFIND"):
                for path in (f"/{text}", "/v1/rank", f"/v1/models/{text}", f"/page/{text}", "/metrics"):
                    client.request(method, path, headers={"user-agent": text, "origin": text})
            events = [{"id": text, "type": f"t{text}"}, {"id": text, "type": "click"}]
            client.request("POST", "/v1/feedback", json={"request_id": text, "events": events})
            for model in ("movies", f"movies@{100 + count + i}", text):
                body = {"candidates": [A, {"id": text, "features": {"bm25": None, text: 1}}], "model": model}
                client.rank(body | {"request_id": text, "query": {"id": text}})
                client.rank({"candidates": [{"id": text, "features": [None, 2, 3]}], "model": model})
                client.finish_background()
        return labels_of(client)

    few = ask(2)
    assert ask(20) == few
    assert not [line for line in few if 'version="1' in line or "PROPFIND" in line]
    assert {'rankwright_observed_candidates_total{model="movies",version="0"}'} <= few


def test_methods_beyond_the_usual_share_a_label(client: Client) -> None:
    """The parser knows some forty; llhttp's list is not ours."""
    for method in ("PROPFIND", "PURGE", "M-SEARCH"):
        client.request(method, "/v1/rank")
    assert 'rankwright_requests_total{method="other",route="/v1/rank",status="405"} 3.0' in (
        client.get("/metrics").text
    )


def test_versions_have_labels_of_their_own_where_they_are_served_or_named(open_client: OpenClient) -> None:
    """By a registry's names and aliases, or by an experiment; others share one, and drift is not theirs."""
    client = open_client(Linear(), default_model="m", shadow="m@7", shadow_share=0, observed_per_second=1e6)
    models = {version: Model("m", version, Linear()) for version in ("0", "7", "8")}
    client.app.state.models.replace({"m": models["0"]} | {f"m@{v}": model for v, model in models.items()})
    for version in models:
        client.rank({"candidates": [A], "model": f"m@{version}"})
        client.finish_background()
    text = client.get("/metrics").text
    for label in ("0", "7", "other"):
        assert f'rankwright_observed_candidates_total{{model="m",version="{label}"}} 1.0' in text


def test_writing_the_metrics_holds_nobody_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are written until another request was answered."""
    answered = threading.Event()

    def write(telemetry: Telemetry) -> bytes:
        return b"waited" if answered.wait(5) else b"alone"

    monkeypatch.setattr(Telemetry, "exposition", write)

    async def both() -> str:
        transport = httpx.ASGITransport(client.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as asking:
            scrape = asyncio.create_task(asking.get("/metrics"))
            await asyncio.sleep(0.05)
            assert (await asking.get("/healthz")).status_code == 200
            answered.set()
            return (await scrape).text

    assert asyncio.run(both()) == "waited"


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
