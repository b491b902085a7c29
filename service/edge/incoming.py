"""A request before its body is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, overload

from starlette.requests import Request
from starlette.types import Receive, Scope


class Incoming:
    """Path, method, caller and headers of a request, and where its body comes from."""

    __slots__ = ("_headers", "method", "path", "peer", "receive", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope, self.receive = scope, receive
        self.path: str = scope["path"]
        self.method: str = scope["method"]
        self.peer: str = (scope.get("client") or ("unknown",))[0]
        # The first of equal names counts.
        self._headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))

    @overload
    def header(self, name: str) -> str | None: ...
    @overload
    def header(self, name: str, default: str) -> str: ...
    def header(self, name: str, default: str | None = None) -> str | None:
        """The value of a header, whose name is given in lower case."""
        value = self._headers.get(name.encode("latin-1"))
        return default if value is None else value.decode("latin-1")

    def headers(self, name: str) -> list[str]:
        """All values of a header that may come several times."""
        wanted = name.encode("latin-1")
        return [value.decode("latin-1") for key, value in self.scope["headers"] if key == wanted]


def incoming(request: Request) -> Incoming:
    """A request that the framework has looked at."""
    return Incoming(request.scope, request.receive)


class Outgoing(NamedTuple):
    """What answers a request with status 200: JSON, and headers of its own."""

    content: bytes
    headers: Sequence[tuple[str, str]] = ()


Endpoint = Callable[[Incoming], Awaitable[Outgoing]]
"""Answers a request; raises ApiError."""
