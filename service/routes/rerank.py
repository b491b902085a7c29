"""POST /v2/rerank, /v1/rerank and /rerank: the dialects of other services."""

from __future__ import annotations

import time

from fastapi import APIRouter, Request, Response

from service.answers.answering import Answering
from service.edge.asking import Manner
from service.edge.body import read_body
from service.edge.pool import ScoringPool
from service.edge.room import Room
from service.errors import ApiError
from service.models.naming import ForeignNames
from service.settings import Settings
from service.wire.dialects import answer_foreign, foreign_error, read_foreign
from service.wire.schema import foreign_schema

PATHS = {
    "/v2/rerank": "Rerank in Cohere's v2 dialect",
    "/v1/rerank": "Rerank in Cohere's v1, Jina's or Voyage's dialect",
    "/rerank": "Rerank in TEI's, infinity's or vLLM's dialect",
}


def rerank_routes(answering: Answering, pool: ScoringPool, room: Room, settings: Settings) -> APIRouter:
    router = APIRouter(tags=["dialects"])
    stored = answering.lookup is not None
    names = ForeignNames(answering.models, settings.aliases, settings.foreign_model)

    def answer(body: bytes, path: str, unit: str | None) -> tuple[bytes, dict[str, str]]:
        started = time.perf_counter()
        foreign = read_foreign(body, path, names, settings.max_candidates, stored=stored)
        reply = answering.rank_raw(foreign.asked, started, unit, distinct=False)
        return answer_foreign(reply, foreign)

    async def rerank(request: Request) -> Response:
        path = request.url.path
        try:
            manner = Manner.of(request, settings)
            body = await read_body(request, settings.max_body_bytes, settings.receive_seconds)
            async with room.taken(len(body), manner.deadline_seconds) as seconds:
                content, headers = await pool.run(lambda: answer(body, path, manner.unit), seconds)
        except ApiError as error:
            raise foreign_error(error, path) from None
        return Response(content, headers=headers, media_type="application/json")

    for path, summary in PATHS.items():
        router.add_api_route(
            path, rerank, methods=["POST"], summary=summary, response_class=Response, name=path,
            **foreign_schema(path),
        )  # fmt: skip
    return router
