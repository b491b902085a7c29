"""What wraps every request: counts and times it, and answers what nobody foresaw in the one error shape."""

from __future__ import annotations

import logging
import time

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.edge.access import HARDENED
from service.errors import internal_error
from service.telemetry.metrics import Telemetry

logger = logging.getLogger(__name__)

CLIENT_GONE = 499
"""The status counted for a client that left before its answer; nobody receives it."""


class Boundary:
    """ASGI middleware; plain, because Starlette's helper class costs a task for each request."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self.app, self.telemetry = app, telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *HARDENED]
            await send(message)

        self.telemetry.in_flight.inc()
        try:
            await self.app(scope, receive, watched)
        except ClientDisconnect:
            status = CLIENT_GONE
        except Exception:
            error = internal_error()
            logger.exception(
                "unexpected error", extra={"path": scope["path"], "request_id": error.request_id}
            )
            if status:  # half an answer is out, and cannot be taken back
                raise
            await error.response()(scope, receive, watched)
        finally:
            self.telemetry.in_flight.dec()
            route = getattr(scope.get("route"), "path", "unmatched")
            if status in (429, 503):
                self.telemetry.shed.labels(str(status)).inc()
            self.telemetry.answered(route, scope["method"], status, time.perf_counter() - started)
