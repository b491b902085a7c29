"""POST /v1/feedback."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Request, Response

from service.edge.body import read_body
from service.edge.incoming import incoming
from service.edge.room import Room
from service.errors import RETRY_AFTER, ApiError
from service.observers.journal import Journal
from service.settings import Settings
from service.telemetry.metrics import Telemetry
from service.wire.decoding import decode_feedback
from service.wire.messages import Feedback, FeedbackReply
from service.wire.schema import replies, takes

EXAMPLE = {"request_id": "r-1", "events": [{"id": "b", "type": "click", "position": 1}]}


def feedback_routes(
    journal: Journal | None, telemetry: Telemetry, room: Room, settings: Settings
) -> APIRouter:
    router = APIRouter(tags=["feedback"])

    @router.post(
        "/v1/feedback",
        summary="Report what became of a ranking",
        response_class=Response,
        responses=replies(FeedbackReply, 400, 401, 403, 404, 408, 413, 415, 422, 429, 500),
        openapi_extra=takes(Feedback, click=EXAMPLE),
    )
    async def take_feedback(request: Request) -> Response:
        body = await read_body(incoming(request), settings.max_body_bytes, settings.receive_seconds)
        feedback = await room.decode(body, decode_feedback)
        if journal is None:
            raise ApiError(
                404, "feedback_off", "this service keeps no journal: start it with setting `journal`"
            )
        if not journal.feedback(feedback):
            raise ApiError(
                429, "overloaded", "the journal cannot keep up: try again soon", headers=RETRY_AFTER
            )
        for event in feedback.events:
            telemetry.took(event.type)
        content = msgspec.json.encode(FeedbackReply(len(feedback.events)))
        return Response(content, media_type="application/json")

    return router
