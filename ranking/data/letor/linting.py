"""`lint`: every malformed line of some LETOR files, not only the first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ranking.data.letor.lists import MAX_FEATURES, read_options
from ranking.data.letor.parser.grouping import QueryRuns
from ranking.data.letor.parser.pipeline import Pipeline
from ranking.data.letor.parser.scanning import Target
from ranking.data.letor.parser.sources import CHUNK_BYTES, Paths, path_list
from ranking.errors import ParseError


@dataclass(frozen=True)
class Lint:
    """What a check found: the first `errors` in order, the `count` of all, and how much was read."""

    errors: tuple[ParseError, ...]
    count: int
    lines: int
    documents: int
    queries: int


def lint(paths: Paths, *, limit: int = 20) -> Lint:
    """Checks LETOR text (plain, gzip or `-`) from beginning to end; never stops at an error.

    One error is reported a line, the first `limit` in full. Raises DataError only for a file that cannot be
    read at all.
    """
    return lint_chunks(paths, limit, CHUNK_BYTES)


def lint_chunks(paths: Paths, limit: int, chunk_bytes: int) -> Lint:
    """`lint` with chunks of this size."""
    options = read_options(
        missing="zero", feature_count=None, feature_names=None, threads=2, max_features=MAX_FEATURES
    )
    runs = QueryRuns(regroup=False)
    pipeline = Pipeline(options.form, runs, options.threads, chunk_bytes, most_errors=limit)

    def room(rows: int, columns: int, share: float | None) -> Target:
        """Values are checked, not kept: all rows go to the same scratch."""
        return Target(np.empty(MAX_FEATURES, np.float32), base=0, step=0, width=MAX_FEATURES, fill=0.0)

    errors: list[ParseError] = []
    count = lines = documents = 0
    for block in pipeline.blocks(path_list(paths), room):
        errors += block.errors[: max(limit - len(errors), 0)]
        count += block.error_count
        lines += block.lines
        documents += 0 if block.scanned is None else len(block.scanned.labels)
    return Lint(tuple(errors), count, lines, documents, len(runs))
