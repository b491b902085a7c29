"""GET /healthz, /readyz and /metrics: for those who run the service."""

from __future__ import annotations

import asyncio

import msgspec
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.edge.draining import Draining
from service.errors import RETRY_AFTER, ApiError
from service.models.table import Models
from service.telemetry.metrics import Telemetry
from service.wire.messages import Health
from service.wire.schema import replies


def operation_routes(models: Models, telemetry: Telemetry, draining: Draining) -> APIRouter:
    router = APIRouter(tags=["operations"])

    @router.get("/healthz", summary="Alive", response_class=Response, responses=replies(Health))
    async def healthz() -> Response:
        return Response(msgspec.json.encode(Health("alive")), media_type="application/json")

    @router.get("/readyz", summary="Ready to rank", response_class=Response, responses=replies(Health, 503))
    async def readyz() -> Response:
        if draining:
            raise ApiError(503, "draining", "the service is about to stop: ask another", headers=RETRY_AFTER)
        if not models.ready:
            raise ApiError(503, "not_ready", "no model is loaded yet: try again soon", headers=RETRY_AFTER)
        return Response(msgspec.json.encode(Health("ready")), media_type="application/json")

    @router.get(
        "/metrics",
        summary="Prometheus metrics",
        response_class=Response,
        responses=replies(Health, 401, 429)
        | {200: {"description": "OK", "content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def metrics() -> Response:
        # Thousands of series take a while to write, and nobody else is to wait for it.
        content = await asyncio.to_thread(telemetry.exposition)
        return Response(content, media_type=CONTENT_TYPE_LATEST)

    return router
