"""POST /v1/rank and /v1/rank:batch."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
from fastapi import APIRouter, Request, Response

from service.answers.answering import Answering
from service.edge.asking import Manner, asked_by_parameters
from service.edge.body import NPY, is_npy, read_body
from service.edge.pool import ScoringPool
from service.edge.room import Room
from service.settings import Settings
from service.wire.messages import BatchReply, BatchRequest, RankReply, RankRequest
from service.wire.schema import replies, takes

EXAMPLES = {
    "dense": {"candidates": [{"id": "a", "features": [0.1, None, 3]}], "top_k": 10},
    "named": {
        "context": {"price": 12.5},
        "candidates": [{"id": "b", "features": {"bm25": 7.2}}],
        "explain": {"top_features": 5},
    },
    "columnar": {"ids": ["a", "b"], "columns": ["bm25"], "matrix": [[7.2], [None]]},
}
STORED_EXAMPLE = {"candidates": [{"id": "sku-1"}, {"id": "sku-2"}]}
ERRORS = (400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503)


def rank_routes(answering: Answering, pool: ScoringPool, room: Room, settings: Settings) -> APIRouter:
    router = APIRouter(tags=["rank"])

    async def answered(request: Request, reply: Callable[[bytes, float, Manner], msgspec.Struct]) -> Response:
        manner = Manner.of(request, settings)
        body = await read_body(
            request, settings.max_body_bytes, settings.receive_seconds, npy=request.url.path == "/v1/rank"
        )
        started = time.perf_counter()
        # Decoding is work too: on the pool it is bounded, and the loop stays free for the other connections.
        async with room.taken(len(body), manner.deadline_seconds) as seconds:
            content = await pool.run(lambda: msgspec.json.encode(reply(body, started, manner)), seconds)
        return Response(content, media_type="application/json")

    @router.post(
        "/v1/rank",
        summary="Rank candidates",
        response_class=Response,
        responses=replies(RankReply, *ERRORS),
        openapi_extra=takes(RankRequest, NPY, **EXAMPLES, stored=STORED_EXAMPLE),
    )
    async def rank_candidates(request: Request) -> Response:
        if is_npy(request):
            asked, ids = asked_by_parameters(request)
            return await answered(
                request,
                lambda body, started, manner: answering.rank_array(asked, ids, body, started, manner.unit),
            )
        return await answered(
            request, lambda body, started, manner: answering.rank_json(body, started, manner.unit)
        )

    @router.post(
        "/v1/rank:batch",
        summary="Rank the candidates of many queries",
        response_class=Response,
        responses=replies(BatchReply, *ERRORS),
        openapi_extra=takes(BatchRequest, two={"requests": [EXAMPLES["dense"], EXAMPLES["columnar"]]}),
    )
    async def rank_batch(request: Request) -> Response:
        return await answered(
            request, lambda body, started, manner: answering.rank_batch(body, started, manner.unit)
        )

    return router
