"""A store in a folder: packed rows from the last build, and SQLite (WAL) for rows that changed since.

    store.json        which packed folder is the current one
    packed-XXXX/      see `packed`
    changes.sqlite    id, row (float32 bytes, NULL where it was deleted) and time of every change

A build writes its own packed folder and then replaces `store.json` in one step; a store that is open notices.
"""

from __future__ import annotations

import json
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ranking.data.arrays import Float32, Int64
from ranking.data.atomic import replace_file
from ranking.data.store.packed import PackedRows, write_packed
from ranking.errors import DataError

STORE, CHANGES = "store.json", "changes.sqlite"
FORMAT = 1
_ASKED_AT_ONCE = 500
_WAIT_SECONDS = 5.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS changes (id TEXT PRIMARY KEY, row BLOB, changed REAL NOT NULL) WITHOUT ROWID
"""


class LocalStore:
    """The store in a folder. Raises DataError where there is none or it is damaged."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._local = threading.local()
        self._lock = threading.Lock()
        self._seen = self._identity()
        self._packed = self._open_packed()

    @property
    def feature_names(self) -> tuple[str, ...]:
        return self._current().feature_names

    def rows(self, ids: Sequence[str]) -> tuple[Float32, Int64]:
        packed = self._current()
        matrix, unknown = packed.find(ids)
        changed = self._changed(ids)
        if changed:
            found = np.ones(len(ids), np.bool_)
            found[unknown] = False
            for place, name in enumerate(ids):
                if name in changed:
                    row = changed[name]
                    found[place] = row is not None
                    matrix[place] = np.nan if row is None else _row(row, packed.feature_names)
            unknown = np.flatnonzero(~found)
        return matrix, unknown

    def put(self, ids: Sequence[str], rows: Float32) -> None:
        values = np.ascontiguousarray(rows, "<f4")
        self._write([(name, values[place].tobytes()) for place, name in enumerate(ids)])

    def delete(self, ids: Sequence[str]) -> None:
        self._write([(name, None) for name in ids])

    def close(self) -> None:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def _identity(self) -> tuple[int, int]:
        try:
            facts = (self._folder / STORE).stat()
        except OSError as error:
            raise DataError(
                f"{self._folder} is no feature store: it has no {STORE}; "
                "`rankwright features build` writes one"
            ) from error
        return facts.st_ino, facts.st_mtime_ns

    def _open_packed(self) -> PackedRows:
        return PackedRows(self._folder / current_folder(self._folder))

    def _current(self) -> PackedRows:
        """The packed rows, opened again after a build."""
        if self._identity() != self._seen:
            with self._lock:
                seen = self._identity()
                if seen != self._seen:
                    self._packed = self._open_packed()
                    self._seen = seen
        return self._packed

    def _changed(self, ids: Sequence[str]) -> dict[str, bytes | None]:
        with self._connected() as connection:
            if self._without_changes(connection):
                return {}
            found: dict[str, bytes | None] = {}
            for start in range(0, len(ids), _ASKED_AT_ONCE):
                asked = ids[start : start + _ASKED_AT_ONCE]
                marks = ",".join("?" * len(asked))
                found |= dict(connection.execute(f"SELECT id, row FROM changes WHERE id IN ({marks})", asked))
            return found

    def _without_changes(self, connection: sqlite3.Connection) -> bool:
        """Whether nothing changed since the build; asked again only after somebody else has written."""
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        if getattr(self._local, "version", None) != version or not self._local.empty:
            self._local.empty = connection.execute("SELECT 1 FROM changes LIMIT 1").fetchone() is None
            self._local.version = version
        return bool(self._local.empty)

    def _write(self, changes: list[tuple[str, bytes | None]]) -> None:
        now = time.time()
        with self._connected() as connection, connection:
            connection.executemany(
                "INSERT INTO changes VALUES (?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET row = excluded.row, changed = excluded.changed",
                [(name, row, now) for name, row in changes],
            )
        self._local.empty = False

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection."""
        try:
            connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = connect(self._folder)
            yield connection
        except sqlite3.Error as error:
            raise DataError(f"{self._folder / CHANGES}: {error}") from error


def connect(folder: Path) -> sqlite3.Connection:
    """The changes of a store, in WAL mode.

    A crash of the process loses nothing, one of the machine may lose the last commits, never the file.
    """
    connection = sqlite3.connect(folder / CHANGES, timeout=_WAIT_SECONDS, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(_SCHEMA)
    return connection


def _row(content: bytes, feature_names: tuple[str, ...]) -> Float32:
    row = np.frombuffer(content, "<f4")
    if len(row) != len(feature_names):
        raise DataError(
            f"a changed row has {len(row)} features, the store {len(feature_names)}: "
            "a later build changed the columns; put the row again"
        )
    return row


def current_folder(folder: Path) -> str:
    """The name of the packed folder that `store.json` says is the current one."""
    try:
        content = json.loads((folder / STORE).read_text())
        name = content["packed"]
        if content["format"] != FORMAT or not isinstance(name, str) or "/" in name or name.startswith("."):
            raise ValueError("of an unknown format")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / STORE} cannot be used: {error}; build the store again") from error
    return name


def build_local(folder: Path, feature_names: Sequence[str], ids: Sequence[str], matrix: Float32) -> None:
    """Replace the packed rows of a store, or begin one.

    Changes made before the build began are dropped: the new rows are the newer ones.
    """
    began = time.time()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / STORE).exists() and any(folder.iterdir()):
        raise DataError(f"{folder} exists and is no feature store: choose another place, or empty it")
    old = current_folder(folder) if (folder / STORE).exists() else None
    fresh = folder / f"packed-{secrets.token_hex(4)}"
    fresh.mkdir()
    try:
        write_packed(fresh, feature_names, ids, matrix)
        replace_file(folder / STORE, json.dumps({"format": FORMAT, "packed": fresh.name}).encode())
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    connection = connect(folder)
    try:
        with connection:
            connection.execute("DELETE FROM changes WHERE changed < ?", (began,))
    finally:
        connection.close()
    if old is not None:
        # Whoever has it mapped keeps it until he looks again.
        shutil.rmtree(folder / old, ignore_errors=True)
