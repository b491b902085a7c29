"""What every answer has in common."""

from __future__ import annotations

from typing import Any

import httpx


def assert_shape(reply: httpx.Response) -> dict[str, Any]:
    """The four keys of every error, as texts; returns the body."""
    body: dict[str, Any] = reply.json()
    assert reply.headers["content-type"] == "application/json"
    for key in ("error", "message", "detail", "request_id"):
        assert isinstance(body[key], str)
        assert body[key]
    return body
