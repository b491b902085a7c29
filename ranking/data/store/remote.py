"""A store in Redis, for several replicas: one key a document, its value the row as float32 bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import numpy as np

from ranking.data.arrays import Float32, Int64
from ranking.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    import redis

DEFAULT_PREFIX = "rankwright"
_SECONDS = 1.0
_WRITTEN_AT_ONCE = 1000


class RedisStore:
    """The rows under PREFIX:row:ID, with the feature names under PREFIX:names."""

    def __init__(self, client: redis.Redis, prefix: str, feature_names: tuple[str, ...]) -> None:
        self._client, self._prefix, self._names = client, prefix, feature_names

    @classmethod
    def open(cls, address: str) -> RedisStore:
        """Raises DataError where the server is not reached or holds no store of this prefix."""
        client, prefix = _connect(address)
        with _told():
            found: Any = client.get(f"{prefix}:names")
        if found is None:
            raise DataError(
                f"Redis holds no feature store {prefix!r}: `rankwright features build` writes one"
            )
        return cls(client, prefix, tuple(json.loads(found)))

    @classmethod
    def create(cls, address: str, feature_names: Sequence[str]) -> RedisStore:
        """A store of these columns, where there is none of others.

        Raises DataError where a store of other columns holds the prefix: its rows would be misread.
        """
        client, prefix = _connect(address)
        wanted = tuple(feature_names)
        with _told():
            client.set(f"{prefix}:names", json.dumps(wanted), nx=True)
            held: Any = client.get(f"{prefix}:names")
        if tuple(json.loads(held)) != wanted:
            raise DataError(
                f"Redis holds a feature store {prefix!r} with other columns: choose another ?prefix="
            )
        return cls(client, prefix, wanted)

    @property
    def feature_names(self) -> tuple[str, ...]:
        return self._names

    def rows(self, ids: Sequence[str]) -> tuple[Float32, Int64]:
        width = len(self._names)
        with _told():
            found: Any = self._client.mget([self._key(name) for name in ids]) if ids else []
        known = np.array([row is not None and len(row) == 4 * width for row in found], np.bool_)
        missing = np.full(width, np.nan, "<f4").tobytes()
        content = b"".join(row if sound else missing for row, sound in zip(found, known, strict=True))
        matrix = np.frombuffer(content, "<f4").reshape(len(ids), width).copy()
        return matrix, np.flatnonzero(~known)

    def put(self, ids: Sequence[str], rows: Float32) -> None:
        values = np.ascontiguousarray(rows, "<f4")
        for start in range(0, len(ids), _WRITTEN_AT_ONCE):
            part = range(start, min(start + _WRITTEN_AT_ONCE, len(ids)))
            with _told():
                self._client.mset({self._key(ids[i]): values[i].tobytes() for i in part})

    def delete(self, ids: Sequence[str]) -> None:
        if ids:
            with _told():
                self._client.delete(*(self._key(name) for name in ids))

    def close(self) -> None:
        self._client.close()

    def _key(self, name: str) -> bytes:
        return f"{self._prefix}:row:{name}".encode(errors="surrogatepass")


def _connect(address: str) -> tuple[redis.Redis, str]:
    """(client, key prefix) of redis://HOST:PORT/DB?prefix=NAME."""
    if find_spec("redis") is None:
        raise MissingExtraError("a feature store in Redis", "redis")
    import redis

    parts = urlsplit(address)
    query = dict(parse_qsl(parts.query))
    prefix = query.pop("prefix", DEFAULT_PREFIX)
    try:
        client = redis.Redis.from_url(
            urlunsplit(parts._replace(query=urlencode(query))),
            socket_timeout=_SECONDS,
            socket_connect_timeout=_SECONDS,
        )
    except ValueError as error:
        raise DataError(f"{parts.scheme}://{parts.hostname}: {error}") from error
    return client, prefix


@contextmanager
def _told() -> Iterator[None]:
    """A server that is away or refuses, as an error of ours."""
    import redis

    try:
        yield
    except redis.RedisError as error:
        raise DataError(f"the feature store in Redis does not answer: {error}") from error
