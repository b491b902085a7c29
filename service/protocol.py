"""uvicorn's HTTP protocol with two limits it lacks: how long a request may take, how many connect."""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class BoundedConfig(uvicorn.Config):
    """uvicorn's settings with those of `BoundedProtocol`."""

    def __init__(self, *arguments: Any, receive_seconds: float, max_connections: int, **options: Any) -> None:
        options["http"] = BoundedProtocol
        super().__init__(*arguments, **options)
        self.receive_seconds, self.max_connections = receive_seconds, max_connections


class BoundedProtocol(HttpToolsProtocol):
    """A request has `receive_seconds` to arrive whole, from its first byte or from the connection on.

    A connection that is late is closed, so that slow senders hold nothing for long; beyond `max_connections`
    a new one is closed at once.
    """

    config: BoundedConfig
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.config.max_connections:
            transport.abort()
            return
        self._arm()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._arm()

    def on_message_complete(self) -> None:
        self._disarm()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

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
