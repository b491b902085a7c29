"""Reading a request body within its limits, before anything looks inside."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect

from service.echo import shown
from service.edge.incoming import Incoming
from service.errors import ApiError

NPY = "application/x-npy"


def is_npy(incoming: Incoming) -> bool:
    """Whether the body claims to be an npy file."""
    return media_type(incoming) == NPY


def media_type(incoming: Incoming) -> str:
    return incoming.header("content-type", "application/json").partition(";")[0].strip().lower()


async def read_body(incoming: Incoming, max_bytes: int, seconds: float, *, npy: bool = False) -> bytes:
    """The whole body.

    Raises ApiError 415 where it does not claim to be plain JSON (or, with `npy`, an npy file), 413 above
    `max_bytes` (declared, or counted as it comes in), 408 where it has not come in `seconds`;
    ClientDisconnect where the client leaves before.
    """
    _check_headers(incoming, max_bytes, npy=npy)
    chunks, size, more = [], 0, True
    try:
        async with asyncio.timeout(seconds):
            while more:
                message = await incoming.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                chunk = message.get("body", b"")
                more = message.get("more_body", False)
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


def _check_headers(incoming: Incoming, max_bytes: int, *, npy: bool) -> None:
    kind = media_type(incoming)
    json = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
    if not json and not (npy and kind == NPY):
        expected = ["application/json", NPY] if npy else ["application/json"]
        raise ApiError(
            415,
            "unsupported_media_type",
            f"expected Content-Type {' or '.join(expected)}, got {shown(kind)}",
            expected=expected,
        )
    encoding = incoming.header("content-encoding", "identity").lower()
    if encoding != "identity":
        raise ApiError(
            415,
            "unsupported_encoding",
            f"expected an uncompressed body, got Content-Encoding {shown(encoding)}",
            expected=["identity"],
        )
    declared = incoming.header("content-length", "")
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
