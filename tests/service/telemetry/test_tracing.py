"""A request is a span, under the caller's trace."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.conftest import Linear, OpenClient

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.filterwarnings("ignore")
def test_a_request_is_a_span_of_the_callers_trace(open_client: OpenClient) -> None:
    """Health checks are not."""
    trace: Any = pytest.importorskip("opentelemetry.trace")
    pytest.importorskip("opentelemetry.instrumentation.asgi")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    client = open_client(Linear(), tracing=True)
    client.get("/healthz")
    body = {"candidates": [{"id": "a", "features": [1, 2, 3]}]}
    client.request("POST", "/v1/rank", json=body, headers={"traceparent": PARENT})
    (span,) = exporter.get_finished_spans()
    assert format(span.context.trace_id, "032x") == PARENT.split("-")[1]
    assert "/v1/rank" in span.name
