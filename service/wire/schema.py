"""The schema of the wire, made from the structs that decode and encode it."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.wire import messages

PUBLISHED: tuple[type[msgspec.Struct], ...] = (
    messages.RankRequest,
    messages.RankReply,
    messages.BatchRequest,
    messages.BatchReply,
    messages.Feedback,
    messages.FeedbackReply,
    messages.StoredRow,
    messages.StoredRows,
    messages.StoreReply,
    messages.ModelList,
    messages.ModelDescription,
    messages.Health,
    messages.ErrorReply,
)

_REASONS = {
    400: "The body is not JSON.",
    401: "There is no valid key with the request.",
    403: "The key may not do this, or the route is off.",
    404: "There is no such thing.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is not declared as plain JSON.",
    422: "The body is JSON, and not a request that can be ranked.",
    429: "Too many requests, or all scoring threads busy; `Retry-After` says when to come again.",
    500: "A fault of the server; its log holds the reason.",
    503: "Not ready, or too late for the deadline; `Retry-After` says when to come again.",
}


def _json(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{struct.__name__}"}}}


def replies(struct: type[msgspec.Struct], *errors: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: this struct, or one of these errors."""
    answers: dict[int | str, dict[str, Any]] = {200: {"description": "OK", "content": _json(struct)}}
    for status in errors:
        answers[status] = {"description": _REASONS[status], "content": _json(messages.ErrorReply)}
        if status in (429, 503):
            answers[status]["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return answers


def takes(struct: type[msgspec.Struct], *binary: str, **examples: Any) -> dict[str, Any]:
    """The `openapi_extra` of a route that decodes its body itself; `binary` are media types it takes too."""
    content = _json(struct)
    for kind in binary:
        content[kind] = {"schema": {"type": "string", "format": "binary"}}
    content["application/json"]["examples"] = {name: {"value": value} for name, value in examples.items()}
    return {"requestBody": {"required": True, "content": content}}


def publish_schema(app: FastAPI) -> None:
    """Give `app.openapi` the structs as components."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            _, components = msgspec.json.schema_components(
                PUBLISHED, ref_template="#/components/schemas/{name}"
            )
            schema.setdefault("components", {}).setdefault("schemas", {}).update(components)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the schema


def foreign_schema(path: str) -> dict[str, Any]:
    """`responses` and `openapi_extra` of a foreign dialect's route, whose formats belong to others."""
    documents = {
        "texts" if path == "/rerank" else "documents": [{"features": {"bm25": 7.2}}, {"id": "sku-1"}]
    }
    anything: dict[str, Any] = {"application/json": {"schema": {}}}
    answers = replies(messages.ErrorReply, 400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503)
    for answer in answers.values():
        answer["content"] = anything
    answers[200] = {"description": "OK", "content": anything}
    example = {"value": {"query": "q", **documents}}
    content = {"application/json": {"schema": {"type": "object"}, "examples": {"features": example}}}
    return {"responses": answers, "openapi_extra": {"requestBody": {"required": True, "content": content}}}
