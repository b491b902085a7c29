"""From rows that each name their query to lists."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ranking.data.arrays import Int64


class Place(NamedTuple):
    """Where a run of rows of one query begins."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class QueryRuns:
    """Runs of rows of one query, in the order of the text.

    A query that begins a second run (later in its file, or in another file) is refused, unless `regroup`
    brings its rows together where the first run stands, keeping their order.
    """

    def __init__(self, regroup: bool) -> None:
        self._regroup = regroup
        self._codes: dict[str, int] = {}
        self._first: list[Place] = []
        self._run_codes: list[int] = []
        self._run_starts: list[int] = []
        self._open: str | None = None

    def __len__(self) -> int:
        return len(self._codes)

    @property
    def ids(self) -> list[str]:
        return list(self._codes)

    def end_file(self) -> None:
        """A query does not go on from one file into the next."""
        self._open = None

    def begin(self, query: str, row: int, place: Place) -> str | None:
        """A run begins at this row, unless the query before goes on; the complaint where it may not."""
        if query == self._open:
            return None
        self._open = query
        code = self._codes.setdefault(query, len(self._codes))
        self._run_codes.append(code)
        self._run_starts.append(row)
        if code == len(self._first):
            self._first.append(place)
            return None
        if self._regroup:
            return None
        return (
            f"expected the rows of query {query!r} together, got it again at {place} after it began at "
            f"{self._first[code]}; sort the rows by query, give each file its own ids, or regroup"
        )

    def layout(self, rows: int) -> tuple[Int64, Int64 | None]:
        """(offsets [queries + 1], the order of rows that brings each query together, or None as they are)."""
        starts = np.array(self._run_starts, np.int64)
        if len(starts) == len(self._codes):
            return np.append(starts, rows), None
        row_codes = np.repeat(np.array(self._run_codes, np.int64), np.diff(starts, append=rows))
        sizes = np.bincount(row_codes, minlength=len(self._codes))
        return np.concatenate([[0], np.cumsum(sizes)]), np.argsort(row_codes, kind="stable")
