"""Reading a request body within its limits, before anything looks inside."""

from __future__ import annotations

import asyncio

from fastapi import Request

from service.errors import ApiError


async def read_json_body(request: Request, max_bytes: int, seconds: float) -> bytes:
    """The whole body.

    Raises ApiError 415 where it does not claim to be plain JSON, 413 above `max_bytes` (declared, or counted
    as it comes in), 408 where it has not come in `seconds`.
    """
    _check_headers(request, max_bytes)
    chunks, size = [], 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > max_bytes:
                    raise _too_large(max_bytes)
                chunks.append(chunk)
    except TimeoutError:
        raise ApiError(
            408,
            "request_timeout",
            f"the body did not arrive within {seconds:g} seconds",
            headers={"Connection": "close"},
        ) from None
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _check_headers(request: Request, max_bytes: int) -> None:
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise ApiError(
            415,
            "unsupported_media_type",
            f"expected Content-Type application/json, got {kind!r}",
            expected=["application/json"],
        )
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise ApiError(
            415,
            "unsupported_encoding",
            f"expected an uncompressed body, got Content-Encoding {encoding!r}",
            expected=["identity"],
        )
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> ApiError:
    # What is still under way belongs to no request: the connection cannot be used again.
    return ApiError(
        413,
        "body_too_large",
        f"the body is larger than {max_bytes} bytes: send fewer candidates a request",
        headers={"Connection": "close"},
        limit=max_bytes,
    )
