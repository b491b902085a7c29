"""POST /v2/rerank, /v1/rerank and /rerank: the dialects of other services."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response

from service.answers.answering import Answering
from service.answers.requests import ForeignBody
from service.answers.stopwatch import Stopwatch
from service.edge.incoming import Endpoint, Incoming, Outgoing
from service.errors import ApiError
from service.models.naming import ForeignNames
from service.routes.scoring import Scoring, response
from service.wire.dialects import answer_foreign, foreign_error
from service.wire.schema import foreign_schema

PATHS = {
    "/v2/rerank": "Rerank in Cohere's v2 dialect",
    "/v1/rerank": "Rerank in Cohere's v1, Jina's or Voyage's dialect",
    "/rerank": "Rerank in TEI's, infinity's or vLLM's dialect",
}


def rerank_endpoints(answering: Answering, scoring: Scoring) -> dict[str, Endpoint]:
    """By path."""
    settings = answering.settings
    names = ForeignNames(answering.models, settings.aliases, settings.foreign_model)
    stored = answering.lookup is not None

    async def rerank(incoming: Incoming) -> Outgoing:
        path = incoming.path

        def work(body: bytes, watch: Stopwatch, unit: str | None) -> Outgoing:
            posted = ForeignBody(body, path, names, settings.max_candidates, stored)
            reply, foreign = answering.answer(posted, watch, unit).foreign()
            return Outgoing(*answer_foreign(reply, foreign))

        try:
            return await scoring.run(incoming, work)
        except ApiError as error:
            raise foreign_error(error, path) from None

    return dict.fromkeys(PATHS, rerank)


def rerank_routes(endpoints: Mapping[str, Endpoint]) -> APIRouter:
    router = APIRouter(tags=["dialects"])

    async def rerank(request: Request) -> Response:
        return await response(endpoints[request.url.path], request)

    for path, summary in PATHS.items():
        router.add_api_route(
            path, rerank, methods=["POST"], summary=summary, response_class=Response, name=path,
            **foreign_schema(path),
        )  # fmt: skip
    return router
