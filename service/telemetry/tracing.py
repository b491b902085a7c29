"""Traces of requests by OpenTelemetry (extra `tracing`), sent by OTLP to where the OTEL_* variables say."""

from __future__ import annotations

from importlib.util import find_spec

from fastapi import FastAPI

from ranking.errors import MissingExtraError


def trace_requests(app: FastAPI) -> None:
    """A span for each request, with the caller's trace as its parent; health checks and scrapes have none.

    A tracer provider that is set already is kept. Raises MissingExtraError without the extra.
    """
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.instrumentation") is None:
        raise MissingExtraError("setting `tracing`", "tracing")
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.util.http import parse_excluded_urls

    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        provider = TracerProvider(resource=Resource.create({"service.name": "rankwright"}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)
    app.add_middleware(
        OpenTelemetryMiddleware,
        excluded_urls=parse_excluded_urls("healthz,readyz,metrics"),
        exclude_spans=["receive", "send"],
    )
