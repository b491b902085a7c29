"""SMART: documents and queries in parts begun by lines .I .T .A .B .W, as Cranfield and CISI come.

Judgments come in three forms, told by the first line: TREC's `query 0 document grade`; CISI's `query document
0 0.0`, where every pair named is relevant, grade 1; and Cranfield's `query document code` (cranqrel).
Cleverdon's codes fall as relevance rises, 1 a complete answer to 4 minimum interest, 5 no interest; here the
grades are 5 - code: 4, 3, 2, 1 and 0. The code -1, once a query, marks the paper that the question was drawn
from, which answers it best of all: grade 5. The file QRelsCorrectedforTRECeval says the same, and is taken
where it lies beside cranqrel.

Judgments name queries by their .I number, or by their ordinal, as Cranfield's do, whose .I numbers have gaps.
It is the ordinal where a number among them is no query's and none is beyond the last; the queries then have
the ordinals as ids, as the judgments do. Ids lose leading zeros: 001 is 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from ranking.retrieval.collections.collection import Collection, Queries
from ranking.retrieval.collections.folder import (
    chosen_split,
    collection_of,
    files_in,
    role,
    the_only,
    with_role,
)
from ranking.retrieval.collections.judgments import Judged, grade_in
from ranking.retrieval.collections.lines import beginning, fault, filled_lines, lines_of, shown
from ranking.retrieval.collections.records import Record, documents_of, queries_of

_BEGIN = re.compile(r"\.I\b")
_PART = re.compile(r"\.([TABWXKCN])\s*$")
_FIELDS = {"T": "title", "W": "text", "A": "author", "B": "source", "K": "keywords"}
"""Other parts are references (.X), categories (.C) and notes (.N): no text"""

_CODES = {"-1": 5.0, "1": 4.0, "2": 3.0, "3": 2.0, "4": 1.0, "5": 0.0}


def documents_files(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if role(path) != "queries"]


def read_smart(folder: Path, split: str | None) -> Collection:
    """The collection of a folder with files that begin with .I"""
    files = files_in(folder)
    asked = [path for path in _entries(folder) if role(path) == "queries"]
    found = with_role(files, "judgments")
    corrected = [path for path in found if "correct" in path.name.lower()]
    judgments = the_only(corrected or found, "judgments")
    chosen = chosen_split({"all": judgments} if judgments else {}, split)
    documents = documents_of(folder, chain.from_iterable(map(_records, documents_files(folder))))
    pairs = [*_judged(judgments)] if judgments else []
    queries = queries_of(map(_asking, chain.from_iterable(map(_records, asked)))) if asked else None
    if queries is not None and _by_ordinal(queries, pairs):
        queries = Queries([str(number) for number in range(1, len(queries) + 1)], queries.texts)
    return collection_of(folder, "SMART", documents, queries, chosen, lambda _: iter(pairs))


def _entries(folder: Path) -> list[Path]:
    """The files of documents and of queries."""
    files = [path for path in files_in(folder) if role(path) != "judgments"]
    return [path for path in files if _BEGIN.match(beginning(path))]


def _by_ordinal(queries: Queries, pairs: list[Judged]) -> bool:
    named = {query for _, query, _, _ in pairs}
    if named <= set(queries.ids):
        return False
    return all(query.isdecimal() and 1 <= int(query) <= len(queries) for query in named)


def _asking(record: Record) -> Record:
    """A query's words are its text, or its title where it has no text."""
    words = record.fields.get("text") or record.fields.get("title", "")
    return record._replace(fields={"text": " ".join(words.split())})


def _records(path: Path) -> Iterator[Record]:
    """The entries of a file, each part as one text."""
    begun, name, part = 0, "", ""
    parts: dict[str, list[str]] = {}

    def entry() -> Record:
        fields = {_FIELDS[one]: "\n".join(lines).strip() for one, lines in parts.items() if one in _FIELDS}
        return Record(path, begun, name, {"title": "", "text": "", **fields}, {})

    for number, line in lines_of(path):
        if _BEGIN.match(line):
            if begun:
                yield entry()
            begun, name, part, parts = number, _plain(line[2:]), "", {}
            if not name:
                raise fault(path, number, f"expected .I and an id, got {shown(line)}")
        elif begun and (found := _PART.match(line)):
            part = found[1]
            parts.setdefault(part, [])
        elif part:
            parts[part].append(line)
        elif line.strip():
            wanted = "a part (.T, .A, .B, .W)" if begun else ".I and an id"
            raise fault(path, number, f"expected {wanted}, got {shown(line)}")
    if begun:
        yield entry()


def _judged(path: Path) -> Iterator[Judged]:
    trec: bool | None = None
    for line, text in filled_lines(path):
        cells = text.split()
        if len(cells) == 4:
            if trec is None:
                trec = cells[1] == "0"
            query, document, grade = cells[0], cells[2 if trec else 1], 1.0
            if trec:
                grade = grade_in(path, line, cells[3])
        elif len(cells) == 3 and trec is None:
            query, document, code = cells
            if code not in _CODES:
                raise fault(path, line, f"expected one of the codes {', '.join(_CODES)}, got {shown(code)}")
            grade = _CODES[code]
        else:
            wanted = (
                "query 0 document grade, query document 0 0.0 or query document code, as in the first line"
            )
            raise fault(path, line, f"expected {wanted}, got {shown(text)}")
        yield line, _plain(query), _plain(document), grade


def _plain(text: str) -> str:
    """An id as the files agree on it: 001 is 1."""
    name = text.strip()
    return name.lstrip("0") or "0" if name.isdecimal() else name
