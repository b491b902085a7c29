"""GET, PUT and DELETE /v1/features/{document}, and POST /v1/features:bulk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np
from fastapi import APIRouter, Request, Response

from ranking.data.arrays import Float32
from ranking.errors import RankwrightError
from service.answers.lookup import StoredFeatures, unavailable
from service.echo import cut, shown
from service.edge.body import read_body
from service.edge.incoming import incoming
from service.edge.room import Room
from service.errors import ApiError, invalid
from service.settings import Settings
from service.wire.bounds import elements, head, parts
from service.wire.decoding import decode_as, decode_named, decode_piece
from service.wire.messages import Identifier, RawStoredRow, RawStoredRows, StoredRow, StoredRows, StoreReply
from service.wire.rows import read_table, write_row, wrong_height
from service.wire.schema import replies, takes

if TYPE_CHECKING:
    from ranking.data.store import FeatureStore

ERRORS = (400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503)
Found = TypeVar("Found")

WRITTEN_ROWS, WRITTEN_VALUES = 20_000, 1 << 22
"""Of a table, written in one step at most."""
_IDS = msgspec.json.Decoder(list[Identifier])
_NAMES = msgspec.json.Decoder(list[str])


def feature_routes(stored: StoredFeatures | None, room: Room, settings: Settings) -> APIRouter:
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
        body = await read_body(incoming(request), settings.max_body_bytes, settings.receive_seconds)
        _check_id(document)
        async with room.taken(len(body)):
            await with_store(lambda held: held.store.put([document], _row(body, held.store.feature_names)))
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
        body = await read_body(incoming(request), settings.max_body_bytes, settings.receive_seconds)
        async with room.taken(len(body)):
            count = await with_store(lambda held: _put_all(body, held.store))
        return _reply(StoreReply(count))

    return router


def _check_id(name: str) -> None:
    if not name or len(name) > 512 or not name.isprintable():
        raise invalid("invalid_id", "an id is 1 to 512 printable characters", path="id")


def _row(body: bytes, names: Sequence[str]) -> Float32:
    """float32 [1, names]."""
    piece = decode_as(RawStoredRow, body).features
    features = decode_named(piece, "features", lambda given: _check_names(given, names))
    row = np.full((1, len(names)), np.nan, np.float32)
    write_row([features.get(name) for name in names], row[0], lambda column: f"features.{names[column]}")
    return row


def _put_all(body: bytes, store: FeatureStore) -> int:
    """Write the rows of a table, a part at a time once all were found sound; how many there were."""
    table, names = decode_as(RawStoredRows, body), store.feature_names
    columns = decode_piece(_NAMES, head(table.columns, len(names) + 1), "columns")
    _check_names(columns, names)
    if len(columns) > len(names):
        raise invalid("duplicate_column", "columns names more than the store has features", path="columns")
    height = elements(table.ids)
    if elements(table.matrix) != height:
        raise wrong_height(elements(table.matrix), height)
    at_once = max(1, min(WRITTEN_ROWS, WRITTEN_VALUES // len(names)))
    sound, first = [], 0
    for ids, rows in zip(parts(table.ids, at_once), parts(table.matrix, at_once), strict=True):
        given = read_table(rows, len(_ids(ids, first)), len(columns), first)
        sound.append((ids, given))
        first += at_once
    places = {name: place for place, name in enumerate(names)}
    for ids, given in sound:
        full = np.full((len(given), len(names)), np.nan, np.float32)
        full[:, [places[name] for name in columns]] = given
        store.put(_ids(ids, 0), full)
    return height


def _ids(piece: bytes, first: int) -> list[str]:
    found = decode_piece(_IDS, piece, f"ids[{first}:]" if first else "ids")
    for name in found:
        _check_id(name)
    return found


def _check_names(given: Iterable[str], names: Sequence[str]) -> None:
    known = set(names)
    unknown = next((name for name in given if name not in known), None)
    if unknown is not None:
        raise invalid(
            "unknown_feature",
            f"the store has no feature {shown(unknown)}",
            feature=cut(unknown),
            expected=list(names),
        )


def _reply(message: Any) -> Response:
    return Response(msgspec.json.encode(message), media_type="application/json")
