"""Files to parsed chunks, in the order of the text, on several threads.

The calling thread reads (and decompresses) chunks of whole lines and counts their rows, so that room can be
made for them; the pool parses them. No more than a few chunks are in memory at any time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ranking.data.letor.parser.explaining import RowForm
from ranking.data.letor.parser.grouping import Place, QueryRuns
from ranking.data.letor.parser.parsing import count_rows
from ranking.data.letor.parser.scanning import Scanned, Target, scan
from ranking.data.letor.parser.sources import Chunk, Flaw, LineReader, display_name, opened
from ranking.errors import ParseError

Room = Callable[[int, int, float | None], Target]
"""Makes room for (rows, with columns up to this many, the share of all input read with them)."""


@dataclass(frozen=True)
class Block:
    """One parsed chunk, or what a file as a whole did wrong (`scanned` is None then)."""

    scanned: Scanned | None
    lines: int
    errors: list[ParseError]
    error_count: int


@dataclass(frozen=True)
class _Work:
    """A chunk being parsed, and where it lies."""

    file: str
    first_line: int
    lines: int
    first_row: int
    chunk: Chunk
    result: Future[Scanned]


class Pipeline:
    """One pass over some files. `most_errors` are worded for each chunk, all are counted."""

    def __init__(
        self, form: RowForm, runs: QueryRuns, threads: int, chunk_bytes: int, most_errors: int
    ) -> None:
        self._form, self._runs, self._threads = form, runs, threads
        self._chunk_bytes, self._most_errors = chunk_bytes, most_errors
        self._working: deque[_Work] = deque()
        self._buffers: list[bytearray] = []
        self._rows = 0

    def settle(self) -> None:
        """Waits until no chunk is being parsed."""
        for work in self._working:
            work.result.exception()

    def blocks(self, paths: Sequence[str], room: Room) -> Iterator[Block]:
        """The files' content in order."""
        sizes = [Path(path).stat().st_size if Path(path).is_file() else 0 for path in paths]
        with ThreadPoolExecutor(self._threads, "letor") as pool:
            for number, path in enumerate(paths):
                yield from self._file(path, pool, room, sum(sizes[:number]), sum(sizes))
                self._runs.end_file()
        self._buffers.clear()

    def _file(
        self, path: str, pool: ThreadPoolExecutor, room: Room, done: int, total: int
    ) -> Iterator[Block]:
        name, line, rows_before = display_name(path), 1, self._rows
        with opened(path) as stream:
            reader = LineReader(path, stream, self._chunk_bytes, self._buffers)
            for chunk in reader.chunks():
                if line == 1:
                    yield from _flawed(name, line, reader.flaws_at_start)
                lines, rows, top = count_rows(np.frombuffer(chunk.buffer, np.uint8), chunk.size)
                position = reader.position()
                share = (done + position) / total if position and total else None
                columns = min(top, self._form.limit) - self._form.first_id + 1
                target = room(rows, columns, share)
                result = pool.submit(scan, chunk, rows, target, self._form, self._most_errors)
                self._working.append(_Work(name, line, lines, self._rows, chunk, result))
                self._rows += rows
                line += lines
                while len(self._working) > self._threads + 1:
                    yield self._finished()
            while self._working:
                yield self._finished()
            if line == 1:  # no chunk came
                yield from _flawed(name, line, reader.flaws_at_start)
            yield from _flawed(name, line, reader.flaws_at_end)
            flawed = bool(reader.flaws_at_start or reader.flaws_at_end)
        if self._rows == rows_before and not flawed:
            got = "only comments" if line > 1 else "an empty file"
            message = f"expected at least one row, got {got}; check how the file was made"
            yield Block(None, 0, [ParseError(name, 1, 1, message)], 1)

    def _finished(self) -> Block:
        """The oldest chunk, once it is parsed."""
        work = self._working[0]
        scanned = work.result.result()
        self._working.popleft()
        self._buffers.append(work.chunk.buffer)
        errors = [
            ParseError(work.file, work.first_line + c.line, c.column, c.message) for c in scanned.complaints
        ]
        count = scanned.complaint_count
        for start in scanned.queries:
            place = Place(work.file, work.first_line + start.line, start.column)
            complaint = self._runs.begin(start.query, work.first_row + start.row, place)
            if complaint is not None:
                errors.append(ParseError(place.file, place.line, place.column, complaint))
                count += 1
        errors.sort(key=lambda error: error.line)
        scanned.queries.clear()  # taken over by the runs
        return Block(scanned, work.lines, errors, count)


def _flawed(name: str, line: int, flaws: Sequence[Flaw]) -> Iterator[Block]:
    for flaw in flaws:
        yield Block(None, 0, [ParseError(name, line, flaw.column, flaw.message)], 1)
