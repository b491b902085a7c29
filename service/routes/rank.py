"""POST /v1/rank."""

from __future__ import annotations

import time

import msgspec
from fastapi import APIRouter, Request, Response

from service.body import read_json_body
from service.decoding import decode_request
from service.errors import ApiError
from service.messages import RankReply, RankRequest
from service.models import Models
from service.openapi import replies, takes
from service.pool import ScoringPool
from service.reranking import rank
from service.settings import Settings
from service.telemetry import Telemetry

EXAMPLES = {
    "dense": {"candidates": [{"id": "a", "features": [0.1, None, 3]}], "top_k": 10},
    "named": {"candidates": [{"id": "b", "features": {"bm25": 7.2}}], "explain": {"top_features": 5}},
    "columnar": {"ids": ["a", "b"], "columns": ["bm25"], "matrix": [[7.2], [None]]},
}


def rank_routes(models: Models, pool: ScoringPool, telemetry: Telemetry, settings: Settings) -> APIRouter:
    router = APIRouter(tags=["rank"])

    def answer(body: bytes, started: float) -> bytes:
        request = decode_request(body)
        try:
            model = models.find(request.model)
            reply = rank(request, model, settings, started)
        except ApiError as error:
            error.request_id = request.request_id
            raise
        telemetry.candidates.labels(model.name).observe(
            len(request.candidates if request.candidates is not None else request.ids or ())
        )
        return msgspec.json.encode(reply)

    @router.post(
        "/v1/rank",
        summary="Rank candidates",
        response_class=Response,
        responses=replies(RankReply, 400, 404, 408, 413, 415, 422, 429, 500, 503),
        openapi_extra=takes(RankRequest, **EXAMPLES),
    )
    async def rank_candidates(request: Request) -> Response:
        body = await read_json_body(request, settings.max_body_bytes, settings.receive_seconds)
        started = time.perf_counter()
        # Decoding is work too: on the pool it is bounded, and the loop stays free for the other connections.
        return Response(await pool.run(lambda: answer(body, started)), media_type="application/json")

    return router
