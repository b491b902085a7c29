"""What readers yield, gathered into documents and queries: fields as columns, every id once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from ranking.errors import DataError
from ranking.retrieval.collections.collection import Documents, Queries
from ranking.retrieval.collections.lines import fault

_FIRST = ("title", "text")
Value = TypeVar("Value")


class Record(NamedTuple):
    """One document or query, and the line where it begins."""

    path: Path
    line: int
    id: str
    fields: dict[str, str]
    """of a query: its text"""
    numbers: dict[str, float]


def documents_of(folder: Path, records: Iterable[Record]) -> Documents:
    """Fields and numbers as columns, in the order in which they come up, title and text first.

    What a record has not is "" or NaN. Raises ParseError, naming both lines, for an id that comes twice;
    DataError where there are no documents, or none has a text.
    """
    ids = _Ids("document")
    fields: dict[str, list[str]] = {}
    numbers: dict[str, list[float]] = {}
    for row, record in enumerate(records):
        ids.add(record)
        for name, text in record.fields.items():
            _put(fields, name, row, text, "")
        for name, number in record.numbers.items():
            _put(numbers, name, row, number, np.nan)
    if not ids.places:
        raise DataError(f"expected documents in {folder}, got none")
    if not fields:
        raise DataError(f"expected documents with a text in {folder}, got ids and numbers alone")
    count = len(ids.places)
    for texts in fields.values():
        texts += [""] * (count - len(texts))
    for column in numbers.values():
        column += [np.nan] * (count - len(column))
    order = [*(name for name in _FIRST if name in fields), *(name for name in fields if name not in _FIRST)]
    return Documents(
        list(ids.places),
        {name: fields[name] for name in order},
        {name: np.array(column, np.float64) for name, column in numbers.items()},
    )


def queries_of(records: Iterable[Record]) -> Queries:
    """The queries of records with a field `text`.

    Raises ParseError for an id that comes twice, naming both lines, and for a query without words.
    """
    ids, texts = _Ids("query"), []
    for record in records:
        ids.add(record)
        text = record.fields.get("text", "").strip()
        if not text:
            raise fault(record.path, record.line, f"expected the words of query {record.id!r}, got none")
        texts.append(text)
    return Queries(list(ids.places), texts)


class _Ids:
    """Ids in order, each with the place where it was first seen."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.places: dict[str, tuple[Path, int]] = {}

    def add(self, record: Record) -> None:
        if not record.id:
            raise fault(record.path, record.line, f"expected the id of a {self.kind}, got none")
        path, line = self.places.setdefault(record.id, (record.path, record.line))
        if (path, line) != (record.path, record.line):
            raise fault(
                record.path,
                record.line,
                f"expected each {self.kind} once, got the id {record.id!r} again, first in {path}:{line}; "
                "take one of the two out, or give it another id",
            )


def _put(columns: dict[str, list[Value]], name: str, row: int, value: Value, absent: Value) -> None:
    column = columns.setdefault(name, [])
    column += [absent] * (row - len(column))
    column.append(value)
