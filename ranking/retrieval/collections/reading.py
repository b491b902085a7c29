"""A folder to a collection: the form is decided by what lies there, not by a flag."""

from __future__ import annotations

from pathlib import Path

from ranking.errors import DataError
from ranking.retrieval.collections import beir, smart, tables, trec
from ranking.retrieval.collections.collection import Collection
from ranking.retrieval.collections.folder import check_filled, files_in

_LOOKED_FOR = (
    "corpus.jsonl beside queries.jsonl or qrels/ (BEIR); a file that begins with <DOC> (TREC) or with .I "
    "(SMART); corpus.tsv, corpus.jsonl or one table of another name (tables). Each may end in .gz"
)


def read_collection(path: str | Path, *, split: str | None = None) -> Collection:
    """The collection that lies in a folder, with the judgments of all splits or of one.

    A folder of documents alone is read too, with no queries and no judgments. What the forms are:
    `ranking.retrieval.collections`. Judgments of unknown queries or documents are left out and listed.

    Raises ParseError, naming FILE:LINE, for what is malformed and for ids that occur twice; DataError where
    there is no collection, or a part of one is missing or there several times; UsageError for an unknown
    split.
    """
    folder = Path(path)
    if not folder.is_dir():
        what = "a file" if folder.exists() else "nothing"
        raise DataError(f"expected the folder of a collection, got {what} at {folder}")
    check_filled(files_in(folder))
    if beir.is_beir(folder):
        return beir.read_beir(folder, split)
    if trec.documents_files(folder):
        return trec.read_trec(folder, split)
    if smart.documents_files(folder):
        return smart.read_smart(folder, split)
    if tables.documents_file(folder):
        return tables.read_tables(folder, split)
    found = sorted(one.name for one in folder.iterdir())
    there = ", ".join(found[:12]) + (f" and {len(found) - 12} more" if len(found) > 12 else "")
    raise DataError(f"no collection in {folder}: looked for {_LOOKED_FOR}; found {there or 'nothing'}")
