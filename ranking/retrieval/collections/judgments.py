"""Judged pairs: lines of TREC's and of tab-separated files, gathered by rows.

A negative grade, with which TREC marks junk, counts as 0. A pair judged twice alike counts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ranking.retrieval.collections.collection import Documents, Queries
from ranking.retrieval.collections.lines import fault, filled_lines, number_in, shown
from ranking.retrieval.collections.records import Record
from ranking.retrieval.judgments import Judgments, Unknown

Judged = tuple[int, str, str, float]
"""(line, query id, document id, grade)"""

_QUERY = ("query-id", "query_id", "queryid", "qid", "topic", "query")
_DOCUMENT = (
    "corpus-id", "corpus_id", "doc-id", "doc_id", "docid", "document-id", "document_id", "document", "docno",
    "pid",
)  # fmt: skip
_GRADE = ("score", "grade", "relevance", "rel", "label")
_TEXT = ("query", "query_text", "query-text", "text")


def judged_lines(path: Path) -> Iterator[Judged]:
    """The pairs of a file: columns by the names in its first line, else as TREC has them.

    TREC's columns are `query iteration document grade`; three are `query document grade`. They are separated
    by tabs where those give as many, else by white space. Raises ParseError for a line of another shape, for
    an id that is absent and for a grade that is no finite number; DataError for an empty file.
    """
    for layout, line, cells in _rows(path):
        query, document = cells[layout.query].strip(), cells[layout.document].strip()
        if not query or not document:
            absent = "document" if query else "query"
            raise fault(path, line, f"expected the id of a {absent}, got none in {shown(layout.join(cells))}")
        yield line, query, document, grade_in(path, line, cells[layout.grade])


def queries_in_judgments(paths: Iterable[Path]) -> Iterator[Record]:
    """The queries of judgments that carry their words in a column: each once, in the order of the files.

    Nothing comes of a file without such a column. Raises ParseError, naming both lines, where one query has
    two texts.
    """
    seen: dict[str, tuple[str, Path, int]] = {}
    for path in paths:
        for layout, line, cells in _rows(path):
            if layout.text is None:
                break
            query, text = cells[layout.query].strip(), cells[layout.text]
            known, file, first = seen.setdefault(query, (text, path, line))
            if known != text:
                other = f"{shown(known)} in {file}:{first}"
                raise fault(
                    path, line, f"expected one text of query {query!r}, got {shown(text)} after {other}"
                )
    for query, (text, path, line) in seen.items():
        yield Record(path, line, query, {"text": text}, {})


def grade_in(path: Path, line: int, text: str) -> float:
    """The grade that a text is, from 0. Raises ParseError where it is none."""
    grade = number_in(text)
    if grade is None:
        raise fault(path, line, f"expected a grade, a finite number such as 0, 1 or 2, got {shown(text)}")
    return max(grade, 0.0)


def judgments_of(path: Path, judged: Iterable[Judged], queries: Queries, documents: Documents) -> Judgments:
    """The pairs of a file by rows; those of unknown queries or documents are left out and listed.

    Raises ParseError, naming both lines, for a pair with two grades.
    """
    query_rows = {one: row for row, one in enumerate(queries.ids)}
    document_rows = {one: row for row, one in enumerate(documents.ids)}
    unknown_queries: list[Unknown] = []
    unknown_documents: list[Unknown] = []
    pairs: list[int] = []
    grades: list[float] = []
    lines: list[int] = []
    count = len(documents)
    for line, query, document, grade in judged:
        query_row, document_row = query_rows.get(query), document_rows.get(document)
        if query_row is None:
            unknown_queries.append((query, document, f"{path}:{line}"))
        if document_row is None:
            unknown_documents.append((query, document, f"{path}:{line}"))
        if query_row is None or document_row is None:
            continue
        pairs.append(query_row * count + document_row)
        grades.append(grade)
        lines.append(line)
    keys, values = np.array(pairs, np.int64), np.array(grades, np.float32)
    _, first, pair = np.unique(keys, return_index=True, return_inverse=True)
    again = np.flatnonzero(values != values[first][pair])
    if again.size:
        here = int(again[0])
        there = int(first[pair[here]])
        query, document = queries.ids[pairs[here] // count], documents.ids[pairs[here] % count]
        raise fault(
            path,
            lines[here],
            f"expected one grade of document {document!r} for query {query!r}, got {grades[here]:g} "
            f"after {grades[there]:g} in {path}:{lines[there]}",
        )
    kept = np.sort(first)
    kept = kept[np.argsort(keys[kept] // count, kind="stable")]
    return Judgments(
        keys[kept] // count,
        keys[kept] % count,
        values[kept],
        tuple(unknown_documents),
        tuple(unknown_queries),
    )


@dataclass(frozen=True)
class _Layout:
    """Which column is what, and how lines are cut into columns."""

    separator: str | None
    """None is any white space"""
    width: int
    query: int
    document: int
    grade: int
    text: int | None

    def join(self, cells: list[str]) -> str:
        return (self.separator or " ").join(cells)


def _rows(path: Path) -> Iterator[tuple[_Layout, int, list[str]]]:
    layout: _Layout | None = None
    for line, text in filled_lines(path):
        if layout is None:
            named = _by_names(text)
            layout = named or _by_count(path, line, text)
            if named:
                continue
        cells = text.split(layout.separator)
        if len(cells) != layout.width:
            kind = "tabs" if layout.separator else "white space"
            raise fault(
                path,
                line,
                f"expected {layout.width} columns between {kind} as in the first line, got {len(cells)}: "
                f"{shown(text)}",
            )
        yield layout, line, cells


def _by_names(text: str) -> _Layout | None:
    """The layout where a first line names the query, the document and the grade."""
    separator = "\t" if "\t" in text else None
    names = [name.strip().lower() for name in text.split(separator)]

    def place(of: tuple[str, ...], but: int | None = None) -> int | None:
        return next((names.index(name) for name in of if name in names and names.index(name) != but), None)

    query, document, grade = place(_QUERY), place(_DOCUMENT), place(_GRADE)
    if query is None or document is None or grade is None:
        return None
    return _Layout(separator, len(names), query, document, grade, place(_TEXT, but=query))


def _by_count(path: Path, line: int, text: str) -> _Layout:
    for separator in ("\t", None):
        match len(text.split(separator)):
            case 4:
                return _Layout(separator, 4, 0, 2, 3, None)
            case 3:
                return _Layout(separator, 3, 0, 1, 2, None)
    raise fault(
        path,
        line,
        "expected the names of columns (query-id, corpus-id, score), or query, iteration, document and "
        f"grade, got {shown(text)}",
    )
