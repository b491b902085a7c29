"""POST /v1/rank and /v1/rank:batch."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from fastapi import APIRouter, Request, Response

from service.answers.answering import Answering
from service.answers.requests import JsonBody, NpyBody
from service.answers.stopwatch import Stopwatch
from service.edge.asking import asked_by_parameters
from service.edge.body import NPY, is_npy
from service.edge.incoming import Endpoint, Incoming, Outgoing
from service.routes.scoring import Scoring, response
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


def rank_endpoints(answering: Answering, scoring: Scoring) -> dict[str, Endpoint]:
    """By path."""
    most = answering.settings.max_candidates

    async def rank(incoming: Incoming) -> Outgoing:
        if is_npy(incoming):
            asked, ids = asked_by_parameters(incoming)

            def work(body: bytes, watch: Stopwatch, unit: str | None) -> bytes:
                return answering.answer(NpyBody(body, asked, ids, most), watch, unit).encoded()
        else:

            def work(body: bytes, watch: Stopwatch, unit: str | None) -> bytes:
                return answering.answer(JsonBody(body, most), watch, unit).encoded()

        return Outgoing(await scoring.run(incoming, work, npy=True))

    async def rank_batch(incoming: Incoming) -> Outgoing:
        def work(body: bytes, watch: Stopwatch, unit: str | None) -> bytes:
            return msgspec.json.encode(answering.batch(body, watch, unit))

        return Outgoing(await scoring.run(incoming, work))

    return {"/v1/rank": rank, "/v1/rank:batch": rank_batch}


def rank_routes(endpoints: Mapping[str, Endpoint]) -> APIRouter:
    router = APIRouter(tags=["rank"])

    @router.post(
        "/v1/rank",
        summary="Rank candidates",
        response_class=Response,
        responses=replies(RankReply, *ERRORS),
        openapi_extra=takes(RankRequest, NPY, **EXAMPLES, stored=STORED_EXAMPLE),
    )
    async def rank_candidates(request: Request) -> Response:
        return await response(endpoints["/v1/rank"], request)

    @router.post(
        "/v1/rank:batch",
        summary="Rank the candidates of many queries",
        response_class=Response,
        responses=replies(BatchReply, *ERRORS),
        openapi_extra=takes(BatchRequest, two={"requests": [EXAMPLES["dense"], EXAMPLES["columnar"]]}),
    )
    async def rank_batch(request: Request) -> Response:
        return await response(endpoints["/v1/rank:batch"], request)

    return router
