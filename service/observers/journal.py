"""What was shown and what came of it: an append-only log of JSON lines, written by a thread of its own.

    {"kind": "schema", "model", "version", "feature_names"}          once a file, before the first ranking
    {"kind": "ranking", "request_id", "time", "model", "version", "query", "unit", "candidates",
     "results": [{"id", "score", "team"?}], "features": base64 of float32 [results, features]}
    {"kind": "event", "request_id", "time", "events": [{"id", "type", "position"?, "time"?}]}

A result's id is the caller's own; where a foreign dialect's document has none, its place in the request.

Files are rotated by size. A line goes to the system at once and is forced to disk at most `fsync_seconds`
later, and when a file ends: a crash of the process loses what waits in the queue, a crash of the machine
the last seconds as well. A request never waits: where the queue is full the line is dropped, and counted.
"""

from __future__ import annotations

import base64
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np

from ranking.data.arrays import Float32
from ranking.errors import UsageError
from service.answers.answer import Answer
from service.answers.experiments import sampled
from service.observers.background import Background
from service.telemetry.metrics import Telemetry
from service.wire.messages import Feedback

QUEUE = 10_000


class Journal:
    """An observer of answers that keeps what was shown, and the events that callers report."""

    def __init__(
        self, folder: Path, telemetry: Telemetry, *, max_bytes: int, fsync_seconds: float, share: float
    ) -> None:
        self._files = _Files(folder, max_bytes, fsync_seconds)
        self._share, self._closed = share, False
        self._background = Background("journal", QUEUE, telemetry.dropped.labels("journal").inc)

    def __call__(self, answer: Answer) -> None:
        if not sampled("journal", answer.unit, self._share):
            return
        now = time.time()
        self._background.submit(lambda: self._ranking(answer, now))

    def feedback(self, feedback: Feedback) -> bool:
        """Whether the events were taken."""
        line = {
            "kind": "event",
            "request_id": feedback.request_id,
            "time": time.time(),
            "events": feedback.events,
        }
        return self._background.submit(lambda: self._files.write(line))

    def close(self) -> None:
        """Write what waits, force it to disk, and end; closing twice is no fault."""
        if not self._closed:
            self._closed = True
            self._background.close()
            self._files.close()

    def _ranking(self, answer: Answer, now: float) -> None:
        model, shown = answer.model, answer.ranked.shown
        results: list[dict[str, Any]] = []
        for result in answer.reply().results:
            item: dict[str, Any] = {"id": result.id, "score": result.score}
            if isinstance(result.team, str):
                item["team"] = result.team
            results.append(item)
        line = {
            "kind": "ranking",
            "request_id": answer.request_id,
            "time": now,
            "model": model.name,
            "version": answer.version,
            "query": answer.request.asked.query,
            "unit": answer.unit,
            "candidates": len(answer.batch.ids),
            "results": results,
            "features": _base64(answer.batch.features[shown]),
        }
        self._files.write(line, (model.name, answer.version, model.feature_names))


def _base64(rows: Float32) -> str:
    return base64.b64encode(np.ascontiguousarray(rows, "<f4").tobytes()).decode("ascii")


class _Files:
    """One open file at a time; only the journal's thread writes."""

    def __init__(self, folder: Path, max_bytes: int, fsync_seconds: float) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"setting `journal`: {folder} cannot be a folder: {error.strerror}") from error
        self._folder, self._max_bytes, self._fsync_seconds = folder, max_bytes, fsync_seconds
        self._file: IO[bytes] | None = None
        self._size, self._synced = 0, 0.0
        self._schemas: set[tuple[str, str]] = set()

    def write(self, line: dict[str, Any], schema: tuple[str, str, Sequence[str]] | None = None) -> None:
        if self._file is None or self._size >= self._max_bytes:
            self._rotate()
        if schema is not None and schema[:2] not in self._schemas:
            self._schemas.add(schema[:2])
            names = {
                "kind": "schema",
                "model": schema[0],
                "version": schema[1],
                "feature_names": list(schema[2]),
            }
            self._append(names)
        self._append(line)

    def _append(self, line: dict[str, Any]) -> None:
        assert self._file is not None
        content = msgspec.json.encode(line) + b"\n"
        self._file.write(content)
        self._file.flush()
        self._size += len(content)
        now = time.monotonic()
        if now - self._synced >= self._fsync_seconds:
            os.fsync(self._file.fileno())
            self._synced = now

    def _rotate(self) -> None:
        self.close()
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        # One file a process: several workers share the folder.
        name = f"journal-{stamp}-{os.getpid()}-{secrets.token_hex(3)}.jsonl"
        self._file = (self._folder / name).open("xb")
        self._size = 0
        self._schemas = set()

    def close(self) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
