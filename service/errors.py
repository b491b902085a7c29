"""The one error shape: {"error", "message", "detail", "request_id", ...}.

`error` is a code for programs, `message` a sentence for people. `detail` repeats the sentence: clients of
other rerank services read one or the other. Further keys say where and what was expected.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from service.echo import cut

logger = logging.getLogger(__name__)

RETRY_AFTER = {"Retry-After": "1"}
"""For faults that pass by themselves; permanent ones carry none, so that clients do not retry them."""


class ApiError(Exception):
    """A request that is answered with an error: `extra` goes into the body beside the sentence."""

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers, self.extra = headers, extra
        self.request_id: str | None = None

    def content(self) -> dict[str, Any]:
        """The body of the answer."""
        return {
            "error": self.code,
            "message": self.message,
            "detail": self.message,
            "request_id": self.request_id or new_request_id(),
            **self.extra,
        }

    def response(self) -> Response:
        return Response(msgspec.json.encode(self.content()), self.status, self.headers, "application/json")


def new_request_id() -> str:
    return uuid.uuid4().hex


def invalid(code: str, message: str, **extra: Any) -> ApiError:
    """A body that is JSON, and does not say something we can rank."""
    return ApiError(422, code, message, **extra)


def internal_error() -> ApiError:
    """What a client may know of a fault of ours: nothing but that it is logged under this id."""
    error = ApiError(500, "internal_error", "the server failed on this request; the reason is in its log")
    error.request_id = new_request_id()
    return error


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response()


async def _http_error(request: Request, error: Exception) -> Response:
    """Starlette's own: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    path = cut(request.url.path)
    if error.status_code == 404:
        known = ApiError(404, "unknown_path", f"there is nothing at {path}; see /docs for the routes")
    elif error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        known = ApiError(
            405,
            "wrong_method",
            f"{path} does not take {cut(request.method)}; it takes {allowed}",
            headers=error.headers,
        )
    else:
        known = ApiError(error.status_code, "http_error", str(error.detail), headers=error.headers)
    return known.response()


async def _parameter_error(request: Request, error: Exception) -> Response:
    """FastAPI's own, without the input: it may hold what JSON cannot carry back."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return invalid("invalid_parameter", f"{place}: {first['msg']}", path=place).response()


def install_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _parameter_error)
