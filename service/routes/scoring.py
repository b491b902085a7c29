"""How a request to score is answered: its body read within the limits, the work done on the pool."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from fastapi import Request, Response

from service.answers.stopwatch import Stopwatch
from service.edge.asking import Manner
from service.edge.body import read_body
from service.edge.incoming import Endpoint, Incoming, incoming
from service.edge.pool import ScoringPool
from service.edge.room import Room
from service.settings import Settings

Done = TypeVar("Done")

Work = Callable[[bytes, Stopwatch, str | None], Done]
"""What is done with a body; the last is who an experiment is split by."""


@dataclass(frozen=True)
class Scoring:
    """Decoding is work too: on the pool it is bounded, and the loop stays free for the other connections."""

    pool: ScoringPool
    room: Room
    settings: Settings

    async def run(self, incoming: Incoming, work: Work[Done], *, npy: bool = False) -> Done:
        """What the work makes of the request's body. Raises ApiError."""
        settings = self.settings
        manner = Manner.of(incoming, settings)
        body = await read_body(incoming, settings.max_body_bytes, settings.receive_seconds, npy=npy)
        watch = Stopwatch()
        async with self.room.taken(len(body), manner.deadline_seconds) as seconds:
            return await self.pool.run(lambda: work(body, watch, manner.unit), seconds)


async def response(endpoint: Endpoint, request: Request) -> Response:
    """An endpoint's answer to a request that came to it through the framework."""
    content, headers = await endpoint(incoming(request))
    return Response(content, headers=dict(headers), media_type="application/json")
