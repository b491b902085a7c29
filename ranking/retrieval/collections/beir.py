"""BEIR: corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv, each plain or .gz.

Thakur et al., "BEIR: A Heterogeneous Benchmark for Zero-shot Evaluation of Information Retrieval
Models" (2021).
"""

from __future__ import annotations

from pathlib import Path

from ranking.retrieval.collections.collection import Collection
from ranking.retrieval.collections.folder import (
    chosen_split,
    collection_of,
    files_in,
    judgments_by_split,
    plain_name,
    the_only,
)
from ranking.retrieval.collections.json_lines import document_records, query_records
from ranking.retrieval.collections.records import documents_of, queries_of


def is_beir(folder: Path) -> bool:
    """Whether a corpus lies beside queries or judgments under BEIR's names."""
    names = {plain_name(path) for path in files_in(folder)}
    return "corpus.jsonl" in names and ("queries.jsonl" in names or (folder / "qrels").is_dir())


def read_beir(folder: Path, split: str | None) -> Collection:
    """The collection of a BEIR folder. Keys beside _id, title and text are read too: `document_records`."""
    files = files_in(folder)
    corpus = the_only([path for path in files if plain_name(path) == "corpus.jsonl"], "documents")
    queries = the_only([path for path in files if plain_name(path) == "queries.jsonl"], "queries")
    assert corpus is not None  # is_beir saw it
    splits = chosen_split(judgments_by_split(folder, files), split)
    return collection_of(
        folder,
        "BEIR",
        documents_of(folder, document_records(corpus)),
        queries_of(query_records(queries)) if queries else None,
        splits,
    )
