"""What wraps every request: counted, timed, let in or refused, and answered whatever happens.

The endpoints that score are called from here, before the framework has looked at the request: finding their
route and going through its layers takes longer than scoring a short list does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.edge.access import HARDENED, Access
from service.edge.incoming import Endpoint, Incoming
from service.edge.pool import ScoringPool, overloaded
from service.errors import ApiError, internal_error
from service.telemetry.metrics import Telemetry

logger = logging.getLogger(__name__)

CLIENT_GONE = 499
"""The status counted for a client that left before its answer; nobody receives it."""
_HEADERS = [(b"content-type", b"application/json"), *HARDENED]


class Boundary:
    """ASGI middleware: `scoring` are the endpoints of POST requests, by path; all else is the app's.

    Whoever may not pass is answered before a byte of the body is read. So is a request to score while the
    pool is full: a refusal has to cost little when there are many.
    """

    def __init__(
        self,
        app: ASGIApp,
        telemetry: Telemetry,
        access: Access,
        pool: ScoringPool,
        scoring: Mapping[str, Endpoint],
    ) -> None:
        self.app, self.telemetry, self.access, self.pool = app, telemetry, access, pool
        self.scoring = scoring

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

        incoming = Incoming(scope, receive)
        endpoint = self.scoring.get(incoming.path) if incoming.method == "POST" else None
        self.telemetry.in_flight.inc()
        try:
            self.access.check(incoming)
            if endpoint is None:
                await self.app(scope, receive, watched)
            else:
                if self.pool.full:
                    raise overloaded()
                content, headers = await endpoint(incoming)
                status = 200
                own = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
                length = (b"content-length", b"%d" % len(content))
                await send(
                    {"type": "http.response.start", "status": 200, "headers": [length, *_HEADERS, *own]}
                )
                await send({"type": "http.response.body", "body": content})
        except ApiError as error:
            await error.response()(scope, receive, watched)
        except ClientDisconnect:
            status = CLIENT_GONE
        except Exception:
            told = internal_error()
            logger.exception("unexpected error", extra={"path": scope["path"], "request_id": told.request_id})
            if status:  # half an answer is out, and cannot be taken back
                raise
            await told.response()(scope, receive, watched)
        finally:
            self.telemetry.in_flight.dec()
            known = incoming.path if endpoint is not None else "unmatched"
            route = getattr(scope.get("route"), "path", known)
            if status in (429, 503):
                self.telemetry.shed.labels(str(status)).inc()
            self.telemetry.answered(route, incoming.method, status, time.perf_counter() - started)
