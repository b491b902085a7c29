"""`FeatureStore`: what every store does, and `open_store`, which tells them apart by their address."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ranking.data.arrays import Float32, Int64


class FeatureStore(Protocol):
    """Rows of features by document id. Safe from many threads at once."""

    @property
    def feature_names(self) -> tuple[str, ...]: ...

    def rows(self, ids: Sequence[str]) -> tuple[Float32, Int64]:
        """(float32 [ids, features], places of the ids that are not known, whose rows are all NaN)."""

    def put(self, ids: Sequence[str], rows: Float32) -> None:
        """Write float32 [ids, features]: a known id gets another row, a new one its first."""

    def delete(self, ids: Sequence[str]) -> None:
        """Forget these ids; unknown ones are no fault."""

    def close(self) -> None: ...


def is_redis(address: str) -> bool:
    """Does this name a Redis server rather than a folder?"""
    return address.startswith(("redis://", "rediss://", "unix://"))


def open_store(address: str) -> FeatureStore:
    """The store at a folder's path, or at redis://HOST:PORT/DB?prefix=NAME.

    Raises DataError where there is none or it is damaged, MissingExtraError without the Redis client.
    """
    if is_redis(address):
        from ranking.data.store.remote import RedisStore

        return RedisStore.open(address)
    from ranking.data.store.local import LocalStore

    return LocalStore(Path(address))
