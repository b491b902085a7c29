"""Scores written out: one a line, a TREC run, or JSON Lines. Numbers are those the service answers with."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from ranking.data.arrays import Float32
from ranking.data.dataset import RankingDataset
from ranking.errors import DataError

_RUN_NAME = "rankwright"


def _scores(scores: Float32, dataset: RankingDataset) -> Iterator[str]:
    """One score a line, in the order of the input."""
    return (repr(score) for score in scores.tolist())


def _trec(scores: Float32, dataset: RankingDataset) -> Iterator[str]:
    """`QUERY Q0 DOCUMENT RANK SCORE RUN`, best first, equal scores in input order."""
    for query, documents, order in _ranked(scores, dataset):
        for rank, row in enumerate(order, 1):
            yield f"{query} Q0 {documents(row)} {rank} {float(scores[row])!r} {_RUN_NAME}"


def _jsonl(scores: Float32, dataset: RankingDataset) -> Iterator[str]:
    """One object a query: `{"query", "results": [{"id", "index", "rank", "score"}]}`."""
    starts = dataset.offsets.tolist()
    for number, (query, documents, order) in enumerate(_ranked(scores, dataset)):
        results = [
            {
                "id": documents(row),
                "index": int(row) - starts[number],
                "rank": rank,
                "score": float(scores[row]),
            }
            for rank, row in enumerate(order, 1)
        ]
        yield json.dumps({"query": query, "results": results})


FORMATS: dict[str, Callable[[Float32, RankingDataset], Iterator[str]]] = {
    "scores": _scores,
    "trec": _trec,
    "jsonl": _jsonl,
}


def write_predictions(scores: Float32, dataset: RankingDataset, form: str, output: Path | None) -> None:
    """Write to a file, or to stdout where none is named."""
    try:
        with nullcontext(sys.stdout.buffer) if output is None else output.open("wb") as out:
            # Ids leave with the bytes they came with.
            lines = (line + "\n" for line in FORMATS[form](scores, dataset))
            out.writelines(line.encode("utf-8", "surrogateescape") for line in lines)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise DataError(f"cannot write {output}: {error.strerror}") from error


def _ranked(
    scores: Float32, dataset: RankingDataset
) -> Iterator[tuple[str, Callable[[int], str], list[int]]]:
    """(query id, name of a row's document, rows best first) of each query.

    A document without an id is named by its place in the list, from 1.
    """
    ids = dataset.document_ids
    for query, start, stop in zip(dataset.query_ids, dataset.offsets, dataset.offsets[1:], strict=False):
        order = start + np.argsort(-scores[start:stop], kind="stable")

        def name(row: int, start: int = int(start)) -> str:
            return (ids[row] if ids is not None else "") or str(row - start + 1)

        yield query, name, order.tolist()
