"""uvicorn's HTTP protocol with limits it lacks: time and headers of a request, and connections."""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.edge.access import HARDENED
from service.errors import ApiError

LINGER_SECONDS = 2.0
"""After a refusal what still comes is thrown away for so long: a reset could overtake the answer."""


class BoundedConfig(uvicorn.Config):
    """uvicorn's settings with those of `BoundedProtocol`."""

    def __init__(
        self,
        *arguments: Any,
        receive_seconds: float,
        max_connections: int,
        max_header_bytes: int,
        max_headers: int,
        **options: Any,
    ) -> None:
        options["http"] = BoundedProtocol
        super().__init__(*arguments, **options)
        self.receive_seconds, self.max_connections = receive_seconds, max_connections
        self.max_header_bytes, self.max_headers = max_header_bytes, max_headers


class BoundedProtocol(HttpToolsProtocol):
    """A request has `receive_seconds` to arrive whole, from its first byte or from the connection on.

    A connection that is late is closed, so that slow senders hold nothing for long; beyond `max_connections`
    a new one is closed at once. So is a connection on which something came after an answer that is not, in
    that time, a request: a blank line alone switches uvicorn's own timer of idle connections off.

    Request line and headers together have `max_header_bytes`, and there are at most `max_headers`; above that
    the answer is a 431 and the connection is closed. Bytes are counted before the parser sees them, because
    it joins the parts of a long header again and again. So are trailers and the frames of chunks, whatever
    stands between two pieces of a body. Headers that begin in the middle of a packet, behind another request,
    are counted from the next `max_header_bytes` on.
    """

    config: BoundedConfig
    _deadline: asyncio.TimerHandle | None = None
    _unused = 0
    """Bytes the parser was given since it last completed something."""
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.config.max_connections:
            transport.abort()
            return
        self._arm()

    def data_received(self, data: bytes) -> None:
        start = 0
        while start < len(data) and not self._refused and not self.transport.is_closing():
            room = self.config.max_header_bytes - self._unused
            if room == 0:
                self._refuse(_too_large(f"are larger than {self.config.max_header_bytes} bytes"))
                return
            piece = data[start : start + room]
            start += len(piece)
            self._unused += len(piece)
            super().data_received(piece)
        if self.timeout_keep_alive_task is None and (self.cycle is None or self.cycle.response_complete):
            self._arm()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self.cycle is not None:
            self._disarm()  # what a blank line before a later request began
        self._arm()

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) == self.config.max_headers:
            self._refuse(_too_large(f"are more than {self.config.max_headers}"))
            raise ValueError("too many headers")  # which stops the parser
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._unused = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unused = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unused = 0
        self._disarm()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """uvicorn's own for what the parser stopped at, in the one error shape."""
        if not self._refused:
            self._refuse(ApiError(400, "malformed_http", "the request is not valid HTTP"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def _refuse(self, error: ApiError) -> None:
        """Answer the request that is being received with an error, and close; nothing more is read."""
        self._refused = True
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:
                # The request before this one is owed its answer, and would take this for it.
                cycle.keep_alive = False
                return
            if self.pipeline or cycle.response_started:
                self.transport.close()
                return
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.write(_rendered(error, self.server_state.default_headers))
        self.transport.write_eof()
        self._disarm()
        self._deadline = self.loop.call_later(LINGER_SECONDS, self._late)

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.config.receive_seconds, self._late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()


def _too_large(what: str) -> ApiError:
    return ApiError(431, "headers_too_large", f"the request's headers {what}: send fewer or shorter ones")


def _rendered(error: ApiError, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    """A whole HTTP answer that ends its connection."""
    response = error.response()
    headers = [*default_headers, *response.raw_headers, *HARDENED, (b"connection", b"close")]
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return STATUS_LINE[error.status] + lines + b"\r\n" + bytes(response.body)
