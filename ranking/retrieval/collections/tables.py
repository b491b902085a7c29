"""TSV or JSON Lines under names of one's own: corpus.tsv, movies-corpus.jsonl, queries.tsv, train.qrels.tsv.

Lines of TSV are cut at tabs and nothing else: quotes stand for themselves. The first line may name the
columns; without names they are `id text`, or `id title text`. Judgments are those of `judged_lines`, and may
carry the words of the queries, so that no other file has to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ranking.errors import DataError
from ranking.retrieval.collections.collection import Collection, Queries
from ranking.retrieval.collections.folder import (
    chosen_split,
    collection_of,
    files_in,
    judgments_by_split,
    plain_name,
    role,
    the_only,
    with_role,
)
from ranking.retrieval.collections.json_lines import (
    DOCUMENT_IDS,
    QUERY_IDS,
    QUERY_TEXTS,
    document_records,
    query_records,
)
from ranking.retrieval.collections.judgments import queries_in_judgments
from ranking.retrieval.collections.lines import fault, filled_lines, number_in, shown
from ranking.retrieval.collections.records import Record, documents_of, queries_of

_JSON = (".jsonl", ".ndjson")
_WITHOUT_NAMES = {2: ["id", "text"], 3: ["id", "title", "text"]}


def documents_file(folder: Path) -> Path | None:
    """The table of documents: the one whose name says so, else the only one whose name says nothing.

    Raises DataError where several may be it.
    """
    tables = _tables(files_in(folder))
    return the_only(
        with_role(tables, "documents") or [path for path in tables if role(path) is None], "documents"
    )


def read_tables(folder: Path, split: str | None) -> Collection:
    """The collection of a folder with a table of documents."""
    files = files_in(folder)
    corpus = documents_file(folder)
    if corpus is None:
        raise DataError(f"expected a table of documents in {folder}, got none")
    splits = judgments_by_split(folder, files)
    chosen = chosen_split(splits, split)
    documents = documents_of(folder, document_records(corpus) if _is_json(corpus) else _document_rows(corpus))
    return collection_of(folder, "tables", documents, _queries(files, [*splits.values()]), chosen)


def _tables(files: Sequence[Path]) -> list[Path]:
    return [path for path in files if plain_name(path).endswith((*_JSON, ".tsv"))]


def _is_json(path: Path) -> bool:
    return plain_name(path).endswith(_JSON)


def _queries(files: Sequence[Path], judgments: Sequence[Path]) -> Queries | None:
    """Those of the files of queries together, else those in the judgments."""
    tables = with_role(_tables(files), "queries")
    if tables:
        return queries_of(
            record
            for path in tables
            for record in (query_records(path) if _is_json(path) else _query_rows(path))
        )
    found = queries_of(queries_in_judgments(judgments))
    return found if len(found) else None


def _document_rows(path: Path) -> Iterator[Record]:
    """The documents of a TSV file.

    A named column is one of numbers where every cell that is not empty is a number, and it is neither title
    nor text.
    """
    names, rows = _table(path, DOCUMENT_IDS)
    key = next(place for place, name in enumerate(names) if name in DOCUMENT_IDS)
    numeric = {
        place
        for place, name in enumerate(names)
        if place != key and name not in ("title", "text") and _all_numbers(cells[place] for _, cells in rows)
    }
    for line, cells in rows:
        fields = {
            name: cells[place] for place, name in enumerate(names) if place != key and place not in numeric
        }
        numbers = {
            names[place]: number for place in numeric if (number := number_in(cells[place])) is not None
        }
        yield Record(path, line, cells[key].strip(), fields, numbers)


def _query_rows(path: Path) -> Iterator[Record]:
    names, rows = _table(path, QUERY_IDS)
    key = next(place for place, name in enumerate(names) if name in QUERY_IDS)
    text = next((names.index(name) for name in QUERY_TEXTS if name in names), None)
    if text is None:
        raise fault(path, 1, f"expected a column {', '.join(QUERY_TEXTS)}, got {', '.join(names)}")
    for line, cells in rows:
        yield Record(path, line, cells[key].strip(), {"text": cells[text]}, {})


def _table(path: Path, ids: Sequence[str]) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """(names of the columns, (line, cells) of each row)."""
    rows = [(line, text.split("\t")) for line, text in filled_lines(path)]
    line, first = rows[0]
    names = [cell.strip().lower() for cell in first]
    if any(name in ids for name in names):
        del rows[0]
        if len(set(names)) < len(names):
            raise fault(path, line, f"expected each column once, got {', '.join(names)}")
    elif len(first) in _WITHOUT_NAMES:
        names = _WITHOUT_NAMES[len(first)]
    else:
        raise fault(
            path,
            line,
            f"expected the names of columns, such as id and text, or two or three columns between tabs, got "
            f"{len(first)}: {shown(' '.join(first))}",
        )
    if not rows:
        raise DataError(f"{path} has the names of columns and nothing below: expected one row or more")
    for line, cells in rows:
        if len(cells) != len(names):
            raise fault(
                path,
                line,
                f"expected {len(names)} columns between tabs ({', '.join(names)}), got {len(cells)}: "
                f"{shown(' '.join(cells))}",
            )
    return names, rows


def _all_numbers(cells: Iterator[str]) -> bool:
    """Whether there are numbers, and nothing else but absent ones."""
    filled = [cell for cell in cells if cell.strip()]
    return bool(filled) and all(number_in(cell) is not None for cell in filled)
