"""GET, PUT and DELETE /v1/features/{document}, and POST /v1/features:bulk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np
from fastapi import APIRouter, Request, Response

from ranking.dataset import Float32
from ranking.errors import RankwrightError
from service.body import read_body
from service.decoding import decode_as
from service.echo import cut, shown
from service.errors import ApiError, invalid
from service.lookup import StoredFeatures, unavailable
from service.messages import StoredRow, StoredRows, StoreReply, Value
from service.openapi import replies, takes
from service.settings import Settings

ERRORS = (400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503)
Found = TypeVar("Found")


def feature_routes(stored: StoredFeatures | None, settings: Settings) -> APIRouter:
    router = APIRouter(tags=["features"])

    async def with_store(work: Callable[[StoredFeatures], Found]) -> Found:
        """In a worker thread: stores wait for disks and networks."""
        if stored is None:
            raise ApiError(
                404, "no_feature_store", "this service has no feature store: start it with setting `features`"
            )
        try:
            return await asyncio.to_thread(work, stored)
        except RankwrightError as error:
            raise unavailable(error) from error

    @router.get(
        "/v1/features/{document}", summary="A document's stored features", response_class=Response,
        responses=replies(StoredRow, 401, 403, 404, 422, 429, 500, 503),
    )  # fmt: skip
    async def get_features(document: str) -> Response:
        rows, unknown = await with_store(lambda held: held.rows([document]))
        if len(unknown) or stored is None:
            raise ApiError(404, "unknown_id", f"the feature store has no {shown(document)}")
        names = stored.store.feature_names
        values = [None if np.isnan(value) else value for value in rows[0].tolist()]
        return _reply(StoredRow(dict(zip(names, values, strict=True))))

    @router.put(
        "/v1/features/{document}", summary="Store a document's features", response_class=Response,
        responses=replies(StoreReply, *ERRORS),
        openapi_extra=takes(StoredRow, row={"features": {"price": 12.5}}),
    )  # fmt: skip
    async def put_features(document: str, request: Request) -> Response:
        body = await read_body(request, settings.max_body_bytes, settings.receive_seconds)
        row = decode_as(StoredRow, body)
        _check_id(document)
        columns, values = list(row.features), [list(row.features.values())]
        await with_store(
            lambda held: held.store.put([document], _matrix(columns, values, held.store.feature_names))
        )
        return _reply(StoreReply(1))

    @router.delete(
        "/v1/features/{document}", summary="Forget a document's features", response_class=Response,
        responses=replies(StoreReply, 401, 403, 404, 422, 429, 500, 503),
    )  # fmt: skip
    async def delete_features(document: str) -> Response:
        await with_store(lambda held: held.store.delete([document]))
        return _reply(StoreReply(0))

    @router.post(
        "/v1/features:bulk", summary="Store many documents' features", response_class=Response,
        responses=replies(StoreReply, *ERRORS),
        openapi_extra=takes(StoredRows, table={"ids": ["sku-1"], "columns": ["price"], "matrix": [[12.5]]}),
    )  # fmt: skip
    async def bulk_features(request: Request) -> Response:
        body = await read_body(request, settings.max_body_bytes, settings.receive_seconds)
        rows = decode_as(StoredRows, body)
        if len(rows.ids) != len(rows.matrix):
            raise invalid(
                "wrong_height", f"matrix has {len(rows.matrix)} rows for {len(rows.ids)} ids", path="matrix"
            )
        for name in rows.ids:
            _check_id(name)
        await with_store(
            lambda held: held.store.put(
                rows.ids, _matrix(rows.columns, rows.matrix, held.store.feature_names)
            )
        )
        return _reply(StoreReply(len(rows.ids)))

    return router


def _check_id(name: str) -> None:
    if not name or len(name) > 512 or not name.isprintable():
        raise invalid("invalid_id", "an id is 1 to 512 printable characters", path="id")


def _matrix(columns: Sequence[str], rows: Sequence[Sequence[Value]], names: Sequence[str]) -> Float32:
    """float32 [rows, names]; ApiError 422 for unknown columns and rows of another width."""
    place: Mapping[str, int] = {name: column for column, name in enumerate(names)}
    unknown = [name for name in columns if name not in place]
    if unknown:
        raise invalid(
            "unknown_feature",
            f"the store has no feature {shown(unknown[0])}",
            feature=cut(unknown[0]),
            expected=list(names),
        )
    wrong = next((row for row, values in enumerate(rows) if len(values) != len(columns)), None)
    if wrong is not None:
        raise invalid(
            "wrong_width", f"matrix[{wrong}]: got {len(rows[wrong])} values, columns names {len(columns)}",
            path=f"matrix[{wrong}]",
        )  # fmt: skip
    full = np.full((len(rows), len(names)), np.nan, np.float32)
    if columns and rows:
        with np.errstate(over="ignore"):
            full[:, [place[name] for name in columns]] = np.array(rows, np.float32)
    if np.isinf(full).any():
        raise invalid("out_of_range", "a value is beyond float32")
    return full


def _reply(message: Any) -> Response:
    return Response(msgspec.json.encode(message), media_type="application/json")
